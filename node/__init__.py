"""The clinical node: DICOM in, DICOM out. Nothing imports it."""

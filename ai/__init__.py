"""Arrays to arrays: labels, pre-processing, inference, masks, measurements. No DICOM, no settings."""

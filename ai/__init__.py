"""Arrays to arrays: labels, pre-processing, inference, masks, measurements. Knows no DICOM, no settings, no torch."""

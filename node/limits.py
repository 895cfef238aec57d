"""How much of a received object the node is willing to hold or work through, and why; docs/limits.md.

What goes over one of these is quarantined with a sentence that names the limit. None of them is a setting: no
radiograph comes near one, and what does was not made by a modality.
"""

MEGABYTE = 1_048_576

MAX_PIXELS = 100_000_000
"""Rows times Columns. Film digitized at 0.05 mm has 60 million, the largest flat detectors 19 million."""

MAX_PIXEL_BYTES = 512 * MEGABYTE
"""Rows x Columns x Samples per Pixel x Number of Frames x bytes of a value, decompressed."""

MAX_OBJECT_BYTES = MAX_PIXEL_BYTES + 64 * MEGABYTE
"""A file that is understood; one that is longer holds more than the pixels that may be."""

MAX_INFLATED_BYTES = MAX_OBJECT_BYTES
"""A deflated data set (PS3.5 A.5), inflated; DEFLATE makes up to 1,032 bytes of one."""

MAX_DEPTH = 32
"""Sequences in sequences. Deep reports (TID 1500) have about 12, radiographs 4; pydicom recurses."""

MAX_ELEMENTS = 100_000
"""Elements, items and fragments of a data set together: radiographs have 100 to 1,000 of them; 0.2 s."""

MAX_HEAD_ELEMENTS = 10_000
"""Elements and items before the identity (0020,000E); parsing a few million would keep a thread busy."""

MAX_VALUE_BYTES = 256 * 1024
"""A value of text or numbers in a standard attribute, at any depth. The longest by the Standard is a lookup
table of 65,536 entries of 16 bits, 128 KiB (PS3.3 C.11.1.1); each number becomes an object of 100 bytes."""

MAX_LUT_BYTES = 2 * 65_536
"""LUT Data (0028,3006): at most 65,536 entries of 16 bits (PS3.3 C.11.1.1)."""

MAX_IDENTITY_VALUE_BYTES = 4 * 10_240
"""A patient or study attribute that results copy: the longest by its value representation is LT with 10,240
characters (PS3.5 Table 6.2-1), of up to four bytes each."""

MAX_COPIED_ELEMENTS = 1_000
"""Elements of one sequence that is copied into results, such as Other Patient IDs."""

MAX_COPIED_BYTES = 256 * 1024
"""Bytes of the values in such a sequence."""

MAX_SHUTTER_VALUES = 2_000
"""Values of one attribute of a Display Shutter that is copied: 1,000 vertices."""

MAX_WINDOWS = 64
"""Windows of one image that are tried; those that are met have up to five."""

WORKER_MEMORY_BYTES = 64 * MAX_PIXELS
"""What a worker may need for one image, from reading to writing: 59 to 61 bytes a pixel were measured with
159 structures in one binary Segmentation, which is there twice while it is encoded, 20 bytes a pixel each."""

DECODER_TIME_S = 60.0
"""What one image may take in the pixel decoders: the slowest codec needs 1 s for 20 million pixels."""

DECODER_MEMORY_BYTES = 1536 * MEGABYTE
"""Address space of a decoder without its picture: programs and libraries have 0.6 GB of it."""

DECODER_SAMPLE_BYTES = 48
"""What a decoder may take more for each sample: JPEG 2000 takes four bytes several times over."""

DECODER_START_S = 60.0
"""What a decoder may take until it is ready; 0.5 s on an idle machine."""

DECODER_IMAGES = 1_000
"""After so many images a decoder is replaced, so that what C libraries leak on broken ones is bounded."""

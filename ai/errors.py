"""What can go wrong between arrays and measurements.

AiError
├── BundleError            a model bundle that cannot be trusted: hash, labels or manifest do not match
├── RadiographError        an image that is not usable as a radiograph
│   ├── ConstantImageError     every pixel has the same value
│   └── NotAChestError         the pixels do not look like a chest radiograph of a supported view
└── LabelError             a structure name that the label table does not hold
"""


class AiError(Exception):
    """The root of this package's errors."""


class BundleError(AiError):
    """A model bundle does not match its manifest or the label table."""


class RadiographError(AiError):
    """An image cannot be used as a radiograph."""


class ConstantImageError(RadiographError):
    """Every pixel of the image has the same value."""


class NotAChestError(RadiographError):
    """The pixels do not look like a chest radiograph of a supported view, or like none that can be used."""


class LabelError(AiError):
    """A structure name is not in the label table."""

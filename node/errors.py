"""What can go wrong in the node, and what follows from it.

NodeError
├── ImageError             one image cannot become a result
│   ├── IgnoredImageError      by a rule of the admin's; not retried
│   ├── UnmatchedImageError    no rule says where its results go; kept, retried when somebody asks
│   ├── RefusedImageError      by policy: not a radiograph, a view or body part not served; not retried
│   └── UndecodableError       its bytes cannot be parsed or decoded; quarantined, the bytes are kept
├── ResultError            a result object fails the conformance gate; quarantined, never sent
├── StorageError           the node cannot keep what it is given; the sender is told to try again (0xA700)
│   ├── OutOfSpaceError        the disk, or its reserve, is used up
│   └── DatabaseUnavailableError
├── TransitionError        an event that the job's state does not know
├── LeaseLostError         another worker has taken the job over
├── DeliveryError          a destination did not take an object
├── TlsError               a certificate, a key or a list of authorities cannot be used
├── ProofError             a peer could not be asked for a proof, or did not answer to the question
└── NotThereError          what somebody wants to look at never was, or was removed
"""


class NodeError(Exception):
    """The root of this package's errors."""


class ImageError(NodeError):
    """One image cannot become a result; the message is the reason shown to the admin."""


class RefusedImageError(ImageError):
    """The node does not serve such an image; the message says which rule and which value."""


class IgnoredImageError(ImageError):
    """A rule of the admin's says that nothing is done with such an image."""


class UnmatchedImageError(ImageError):
    """There are rules, and none says where the results of such an image go."""


class UndecodableError(ImageError):
    """The image's bytes cannot be parsed or decoded."""


class ResultError(NodeError):
    """A result object breaks a rule of the Standard or of a viewer."""


class StorageError(NodeError):
    """The node cannot keep what it is given; trying again later can help."""


class OutOfSpaceError(StorageError):
    """The spool's disk has no room left above its reserve."""


class DatabaseUnavailableError(StorageError):
    """The database does not answer."""


class TransitionError(NodeError):
    """A job was told of an event that its state does not know."""


class LeaseLostError(NodeError):
    """Another worker holds the job now."""


class DeliveryError(NodeError):
    """A destination did not take an object."""


class TlsError(NodeError):
    """A certificate, a key or a list of authorities cannot be used; the message names setting and file."""


class ProofError(NodeError):
    """A peer could not be asked about an object, or gave no answer that says anything.

    Attributes:
        unanswered: Whether the peer was not reached, or fell silent.
    """

    def __init__(self, reason: str, *, unanswered: bool = False) -> None:
        super().__init__(reason)
        self.unanswered = unanswered


class NotThereError(NodeError):
    """What somebody wants to look at never was, or was removed; the message says which."""

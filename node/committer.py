"""A committer: tells those who asked for storage commitment what became of it, on associations of its own.

PS3.4 J.3.3: the SCP opens an association in the role of SCP when the one that the request came on is gone.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from config.settings import Peer
from node import commitment_statuses as statuses
from node.backoff import Backoff
from node.bell import Bell
from node.commitment_scp import tell
from node.commitment_store import AskedCommitment, CommitmentStore
from node.errors import ProofError
from node.evidence import Evidence
from node.exchange import own_turn
from node.logs import get_logger, reason_for_log
from node.loop import Loop
from node.peer_call import Caller

IDLE_S = 2.0
"""What is due again is seen within so many seconds."""

TIMEOUT_S = 30.0
"""How long to wait for each answer of a peer, in seconds."""

LEASE_S = 300.0
"""How long a request stays with the committer that tells its answer, in seconds."""

MAX_ATTEMPTS = 100
"""After so many failures in a row an answer is parked; with the longest waits of an hour that is days."""

log = get_logger()


class Committer:
    """Tells answers in a thread of its own.

    Args:
        name: Who holds the requests; different in every committer of every process.
        store: Where requests are.
        evidence: Looks objects up.
        caller: Who calls.
        peers: Where AE titles are reached.
        backoff: The waits after failures.
        taken_on: Rings when there is something to tell.
    """

    def __init__(
        self,
        name: str,
        store: CommitmentStore,
        evidence: Evidence,
        caller: Caller,
        peers: Sequence[Peer],
        backoff: Backoff,
        taken_on: Bell,
    ) -> None:
        self._name = name
        self._store = store
        self._evidence = evidence
        self._caller = caller
        self._peers: Mapping[str, Peer] = {peer.ae_title: peer for peer in reversed(peers)}
        self._backoff = backoff
        self._begun = False
        self.loop = Loop(name, self.step, taken_on)

    def step(self) -> float:
        """Tell the answer that is due first; return for how many seconds there is nothing to do."""
        if not self._begun:  # whoever could not be reached may have got a [[peer]] since
            self._store.revive(self._peers)
            self._begun = True
        asked = self._store.claim(self._name, LEASE_S)
        if asked is None:
            return IDLE_S
        reason = self._tell(asked)
        if reason:
            self._put_off(asked, reason)
        else:
            self._store.answered(asked.id)
        log.info(
            "commitment not told" if reason else "commitment told",
            called_ae_title=asked.calling_ae_title,
            count=len(asked.references),
            attempts=asked.attempts + 1,
            **({"reason": reason_for_log(reason)} if reason else {}),
        )
        return 0.0

    def _tell(self, asked: AskedCommitment) -> str:
        """Tell the answer; return why it was not heard, empty if it was."""
        peer = self._peers.get(asked.calling_ae_title)
        if peer is None:
            return self._unknown(asked)
        try:
            failures = self._evidence.failures(asked)
            with (
                self._caller.association(peer, statuses.PUSH_MODEL, TIMEOUT_S, as_scp=True) as association,
                own_turn(association),
            ):
                status = tell(association, asked, failures, TIMEOUT_S)
        except ProofError as error:
            return str(error)
        if status is None:
            return f"{peer.ae_title} gave no answer to the event"
        return "" if status == statuses.SUCCESS else f"{peer.ae_title} answered the event with 0x{status:04X}"

    def _unknown(self, asked: AskedCommitment) -> str:
        return f"no [[peer]] has the AE title {asked.calling_ae_title}, and its association is gone"

    def _put_off(self, asked: AskedCommitment, reason: str) -> None:
        parked = asked.calling_ae_title not in self._peers or asked.attempts + 1 >= MAX_ATTEMPTS
        wait = timedelta(seconds=self._backoff.delay_s(asked.attempts + 1))
        self._store.not_told(asked.id, reason, None if parked else self._store.clock() + wait)

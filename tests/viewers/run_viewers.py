"""Sends results to a real Orthanc, opens them in OHIF and AMI, compares pixels with masks: `make viewers`.

Four parts: Segmentations that are broken on purpose, each of which must be found; made films of every kind;
real radiographs (the sample, and those that are named), written for every profile; a film with 159 structures
in every profile, for the time that loading takes. Pictures for human eyes and results.json lie in the output
folder.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom import Dataset
from pydicom.uid import SecondaryCaptureImageStorage
from rich.console import Console
from rich.table import Table

from config.profiles import shipped_profiles
from config.settings import ModelSettings
from node.errors import NodeError
from node.logs import configure_logs
from node.model import load_segmenter
from tests.viewers.ami import Ami
from tests.viewers.broken import BREAKS
from tests.viewers.check_results import (
    Finding,
    check_picture,
    check_report,
    check_segmentation,
    polylines,
)
from tests.viewers.films import (
    PROFILES,
    Film,
    film_of_many,
    is_for_ohif,
    made_films,
    results_of,
    segmented,
    small_film,
)
from tests.viewers.ohif import Ohif
from tests.viewers.orthanc import NotInstalledError, Orthanc
from tests.viewers.page import NotShownError, chromium, opened
from tests.viewers.viewer_site import ViewerSite, ami_dist, ohif_dist

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "node" / "sample" / "radiograph.dcm"
PARTS = ("broken", "made", "films", "many")
SHIPPED = tuple(shipped_profiles())
MADE_PROFILES = ("one", "labelmap")
"""In which made films of every kind are looked at: bits (or bytes, at an odd size), and label maps."""


@dataclass
class Run:
    """One run with an archive, the sites of the viewers and a browser that are up.

    Attributes:
        ohif: The site of OHIF.
        ami: The site of the page with AMI.
        pictures: Folder of the pictures.
        work: Folder of what is sent.
        findings: What was seen, in order.
    """

    orthanc: Orthanc
    ohif: ViewerSite
    ami: ViewerSite
    browser: "Browser"
    pictures: Path
    work: Path
    console: Console
    findings: list[Finding] = field(default_factory=list)

    def see(self, film: Film, profile: str, objects: Sequence[Dataset]) -> list[Finding]:
        """Send a film with objects, look at each in a fresh page of OHIF; return what was found."""
        self._send(film, objects)
        seen = [self._see_one(film, profile, number, each) for number, each in enumerate(objects, start=1)]
        segs = [each for each in objects if each.Modality == "SEG"]
        if len(segs) > 1:
            seen.append(self._see_together(film, profile, segs))
        self.findings += seen
        return seen

    def see_in_ami(self, film: Film, profile: str, segs: Sequence[Dataset]) -> list[Finding]:
        """Send a film with Segmentations, look at each in a fresh page with AMI; return what was found."""
        self._send(film, segs)
        seen = [self._see_one_in_ami(film, profile, number, seg) for number, seg in enumerate(segs, start=1)]
        self.findings += seen
        return seen

    def _send(self, film: Film, objects: Sequence[Dataset]) -> None:
        self.orthanc.clear()
        files = [film.file]
        for number, dataset in enumerate(objects):
            files.append(self.work / f"object-{number}.dcm")
            dataset.save_as(files[-1], enforce_file_format=True)
        refused = self.orthanc.send(files)
        if refused:
            raise RuntimeError(f"Orthanc did not take {film.name}: {'; '.join(refused)}")

    def _see_one(self, film: Film, profile: str, number: int, result: Dataset) -> Finding:
        finding = finding_of(film, profile, result.Modality, result.get("SeriesDescription", ""))
        picture = self.pictures / f"{film.name}-{profile}-{number}-{result.Modality}.png"
        self.console.print(f"[dim]{film.name}, {profile}: {finding.kind}[/]")
        try:
            with opened(self.browser, Ohif, self.ohif.url, film.study_uid) as viewer:
                if result.Modality == "SEG":
                    check_segmentation(viewer, result, film, finding, picture)
                elif result.Modality == "SR" and any(polylines(result)):
                    check_report(viewer, result, finding, picture)
                elif result.SOPClassUID == SecondaryCaptureImageStorage:
                    check_picture(viewer, result, finding, picture)
                else:
                    finding.kind += " (OHIF shows none)"
        except NotShownError as error:
            finding.faults.append(str(error))
        if not self.orthanc.is_alive:
            raise RuntimeError(f"Orthanc ended while OHIF fetched {finding.kind} of {film.name}")
        return finding

    def _see_one_in_ami(self, film: Film, profile: str, number: int, seg: Dataset) -> Finding:
        finding = Finding(film.name, profile, f"SEG {seg.get('SeriesDescription', '')}", Ami.NAME)
        picture = self.pictures / f"{film.name}-{profile}-{number}-SEG-{Ami.NAME}.png"
        self.console.print(f"[dim]{film.name}, {profile}, {Ami.NAME}: {finding.kind}[/]")
        try:
            with opened(self.browser, Ami, self.ami.url, film.study_uid) as viewer:
                check_segmentation(viewer, seg, film, finding, picture)
        except NotShownError as error:
            finding.faults.append(str(error))
        return finding

    def _see_together(self, film: Film, profile: str, segs: Sequence[Dataset]) -> Finding:
        finding = finding_of(film, profile, "SEG", "")
        finding.kind = f"all {len(segs)} SEGs in one page"
        finding.seconds = 0.0
        try:
            with opened(self.browser, Ohif, self.ohif.url, film.study_uid) as viewer:
                for seg in segs:
                    segments = len(seg.SegmentSequence)
                    finding.seconds += viewer.load(seg.SeriesInstanceUID, segments, finding.limit_s(segments))
                    finding.segments += segments
                finding.layers = viewer.layers()
                (self.pictures / f"{film.name}-{profile}-together.png").write_bytes(viewer.screenshot())
        except NotShownError as error:
            finding.faults.append(str(error))
        return finding


def finding_of(film: Film, profile: str, modality: str, description: str) -> Finding:
    """Return a finding of OHIF, empty so far; Segmentations without an orientation need not be shown."""
    known = PROFILES.get(profile)
    must_be_shown = modality != "SEG" or known is None or is_for_ohif(known)
    return Finding(film.name, profile, f"{modality} {description}", must_be_shown=must_be_shown)


def see_films(run: Run, profiles: Sequence[str], films: Iterator[Film]) -> bool:
    """Look at every film in every profile; tell whether all is as it must be.

    Segmentations without an orientation, which OHIF does not show, are looked at in AMI as well.
    """
    holds = True
    for film in films:
        for profile in profiles:
            results = results_of(profile, film)
            seen = run.see(film, profile, results)
            segs = [each for each in results if each.Modality == "SEG"]
            if segs and film.checked and not PROFILES[profile].orientation_shim:
                seen = seen + run.see_in_ami(film, profile, segs)
            holds &= not any(each.faults for each in seen if each.must_be_shown)
    return holds


def see_broken(run: Run, film: Film) -> bool:
    """Look at Segmentations that are wrong on purpose; tell whether each was found, and the right one not.

    In OHIF with an orientation, in AMI without one.
    """
    found = [
        are_found(film, "one", run.see),
        are_found(film, "standard", run.see_in_ami),
    ]
    return all(found)


def are_found(film: Film, profile: str, see: Callable[[Film, str, list[Dataset]], list[Finding]]) -> bool:
    """Whether a profile's Segmentation was found wrong by its pixels where it is, and nowhere else.

    Only what was drawn counts: a page that did not come up has found nothing.
    """
    seg = next(each for each in results_of(profile, film) if each.Modality == "SEG")
    (right,) = see(film, "right", [seg])
    wrong = [see(film, name, [spoil(seg)])[0] for name, spoil in BREAKS.items()]
    found = [any(one.faults for one in each.comparisons) for each in wrong]
    return all(found) and not right.faults


def films_of(paths: Sequence[Path], console: Console) -> Iterator[Film]:
    """Yield the sample and those films in the paths that the node serves."""
    segmenter = load_segmenter(ModelSettings())
    for path in [SAMPLE, *paths]:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            try:
                yield segmented(file, segmenter)
            except (NodeError, OSError) as error:
                console.print(f"{file.name} is left out: {error}")


def show(findings: Sequence[Finding], console: Console) -> None:
    """Print a row for each result and one for each structure."""
    titles = "film", "profile", "viewer"
    results = Table(*titles, "result", "segments", "seconds", "layers", "idle draws", "faults")
    structures = Table(*titles, "structure", "pixels", "IoU", "filled", "outside", "colour")
    for each in findings:
        figures = (str(each.segments or ""), f"{each.seconds:.1f}", str(each.layers), str(each.idle_renders))
        names = each.film, each.profile, each.viewer
        results.add_row(*names, each.kind, *figures, "\n".join(each.faults))
        for one in each.comparisons:
            shares = f"{one.iou:.3f}", f"{one.filled:.3f}", f"{one.outside:.4f}", f"{one.colour_distance:.1f}"
            structures.add_row(*names, one.name, str(one.pixels), *shares)
    console.print(structures)
    console.print(results)


def look(wanted: argparse.Namespace, console: Console) -> bool:
    """Run the parts that are asked for; tell whether everything is as it must be."""
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="paxnode-viewers-")))
        dist = wanted.ohif or ohif_dist(wanted.out)
        orthanc = stack.enter_context(Orthanc(work / "orthanc"))
        ohif = stack.enter_context(ViewerSite(dist, orthanc.http_port))
        ami = stack.enter_context(ViewerSite(ami_dist(wanted.out), orthanc.http_port))
        browser = stack.enter_context(chromium())
        run = Run(orthanc, ohif, ami, browser, wanted.out, work, console)
        holds = True
        try:
            if "broken" in wanted.part:
                holds &= see_broken(run, small_film(work))
            if "made" in wanted.part:
                holds &= see_films(run, wanted.profile or MADE_PROFILES, made_films(work))
            if "films" in wanted.part:
                holds &= see_films(
                    run, wanted.profile or list(shipped_profiles()), films_of(wanted.paths, console)
                )
            if "many" in wanted.part:
                holds &= see_films(
                    run, wanted.profile or list(shipped_profiles()), iter([film_of_many(work)])
                )
        finally:
            show(run.findings, console)
            told = json.dumps([asdict(each) for each in run.findings], indent=1)
            (wanted.out / "results.json").write_text(told, encoding="utf-8")
    return holds


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the check from the command line; the exit status is 0 when it holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path, help="radiographs, or folders of them")
    parser.add_argument("--profile", action="append", choices=PROFILES, help="default: those of the part")
    parser.add_argument("--part", action="append", choices=PARTS, help="default: all four")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "viewers")
    parser.add_argument("--ohif", type=Path, help="a built OHIF; default: fetched with npm")
    wanted = parser.parse_args(arguments)
    wanted.part = wanted.part or list(PARTS)
    wanted.out.mkdir(parents=True, exist_ok=True)
    configure_logs("ERROR")
    console = Console(width=None if sys.stdout.isatty() else 160)
    try:
        holds = look(wanted, console)
    except NotInstalledError as error:
        console.print(str(error))
        return 2
    console.print("[green]holds[/]" if holds else "[bold red]does not hold[/]")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())

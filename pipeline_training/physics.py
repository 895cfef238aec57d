"""What X-rays do: from Hounsfield units to two materials, from path lengths to what a detector records.

Images are tensors of any device, shape (..., rows, columns). Randomness comes from the generator that is
passed in, so that an image is a function of it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import torch

Numbers = npt.NDArray[np.float64]

ENERGY_KEV = (15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 80.0, 100.0, 150.0)
WATER_CM2_PER_G = (1.673, 0.8096, 0.3756, 0.2683, 0.2269, 0.2059, 0.1837, 0.1707, 0.1505)
BONE_CM2_PER_G = (9.032, 4.001, 1.331, 0.6655, 0.4242, 0.3148, 0.2229, 0.1855, 0.1480)
ALUMINIUM_CM2_PER_G = (7.955, 3.441, 1.128, 0.5685, 0.3681, 0.2778, 0.2018, 0.1704, 0.1378)
"""Mass attenuation of liquid water, cortical bone (ICRU-44) and aluminium at ENERGY_KEV, with coherent
scattering. Source: Hubbell and Seltzer, NIST Standard Reference Database 126 (NISTIR 5632), tables 3, 4."""

BONE_G_PER_CM3 = 1.92
ALUMINIUM_G_PER_CM3 = 2.699
"""Densities: ibid., tables 1 and 2. Water has 1."""

CT_KEV = 70.0
"""Effective energy of a CT at 120 kVp behind its filters and half a body (about 70 keV: McCollough et al.,
Radiology 276 (2015) 637): there HU are attenuation."""

SOFT_HU = 150.0
"""Up to here a voxel is water of its density; above, bone is mixed in. Muscle and blood lie below, bone
above. Iodine in vessels counts as a little bone, which absorbs as strongly at low energies as it does."""


def water_per_mm(kev: float) -> float:
    """Return the linear attenuation of water in 1/mm."""
    return float(_interpolated(WATER_CM2_PER_G, np.array([kev]))[0]) / 10


def bone_per_mm(kev: float) -> float:
    """Return the linear attenuation of cortical bone in 1/mm."""
    return float(_interpolated(BONE_CM2_PER_G, np.array([kev]))[0]) * BONE_G_PER_CM3 / 10


def _interpolated(table: tuple[float, ...], kev: Numbers) -> Numbers:
    """Return a table's values, straight in the logarithms of energy and attenuation."""
    return np.asarray(np.exp(np.interp(np.log(kev), np.log(ENERGY_KEV), np.log(table))))


BONE_DENSITY = bone_per_mm(CT_KEV) / water_per_mm(CT_KEV)
"""Cortical bone relative to water as a CT sees it, about 2.6: some 1600 HU."""

SOFT_DENSITY = 1 + SOFT_HU / 1000

BONE_PER_EXCESS = 1 / (BONE_DENSITY - SOFT_DENSITY)
"""Volume share of bone per relative attenuation above SOFT_DENSITY: 0 there, 1 at BONE_DENSITY. What is not
bone is soft tissue of SOFT_DENSITY, so that water + BONE_DENSITY * bone is 1 + HU / 1000 throughout."""


def relative_attenuation(hu: torch.Tensor) -> torch.Tensor:
    """Return attenuation relative to water as the CT saw it, float32, 0 for air and below."""
    return (hu.to(torch.float32) * 1e-3 + 1).clamp_(min=0)


def materials(hu: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return how many mm of water and of cortical bone a mm of a voxel stands for, float32, shape of `hu`.

    Beyond pure bone (metal) the water goes below 0: together they keep the attenuation that the CT saw.
    """
    seen = relative_attenuation(hu)
    bone = (seen - SOFT_DENSITY).clamp_(min=0) * BONE_PER_EXCESS
    return seen - BONE_DENSITY * bone, bone


@dataclass(frozen=True)
class Spectrum:
    """X-rays from a tungsten tube, behind its filter.

    Kramers' law, N(E) ~ kVp / E - 1 photons per energy, without tungsten's lines (Kramers, Phil. Mag. 46
    (1923) 836), weakened by aluminium and weighted by E, as a detector sums energy.

    Attributes:
        kvp: Tube voltage, the highest energy in keV; in 30..150.
        aluminium_mm: Filtration of tube and filters, in aluminium that absorbs as much.
    """

    kvp: float
    aluminium_mm: float


STEP_KEV = 5.0
"""Width of an energy bin; against bins of 1 keV the signal behind 25 cm of water differs by under 1 %."""

SPECTRA: Mapping[str, Spectrum] = MappingProxyType(
    {
        "PA 120 kVp": Spectrum(120.0, 6.0),
        "lateral 125 kVp": Spectrum(125.0, 6.0),
        "bedside 85 kVp": Spectrum(85.0, 3.0),
    }
)
"""By name. Chest stands work at 120 to 125 kVp (European guidelines, EUR 16260: 125 kV, 3 mm Al and more;
0.1 mm of copper, usual today, adds as much again), bedside exposures without a grid lower, behind 3 mm."""


@cache
def bins(spectrum: Spectrum) -> tuple[tuple[float, float, float], ...]:
    """Return (share of the open beam's signal, water 1/mm, bone 1/mm) of each energy bin; shares sum to 1."""
    kev = np.arange(ENERGY_KEV[0] + STEP_KEV / 2, spectrum.kvp, STEP_KEV)
    filtered = _interpolated(ALUMINIUM_CM2_PER_G, kev) * ALUMINIUM_G_PER_CM3 / 10 * spectrum.aluminium_mm
    signals = (spectrum.kvp - kev) * np.exp(-filtered)
    shares = signals / signals.sum()
    water = _interpolated(WATER_CM2_PER_G, kev) / 10
    bone = _interpolated(BONE_CM2_PER_G, kev) * BONE_G_PER_CM3 / 10
    return tuple((float(s), float(w), float(b)) for s, w, b in zip(shares, water, bone, strict=True))


def attenuation(water_mm: torch.Tensor, bone_mm: torch.Tensor, kev: float = CT_KEV) -> torch.Tensor:
    """Return the line integral of the attenuation at one energy, unitless."""
    return water_mm * water_per_mm(kev) + bone_mm * bone_per_mm(kev)


def signal(water_mm: torch.Tensor, bone_mm: torch.Tensor, spectrum: Spectrum) -> torch.Tensor:
    """Return the share of the signal that passes, in (0, 1] for bodies: Beer-Lambert, summed over energies.

    Args:
        water_mm: Water-equivalent path, any shape.
        bone_mm: Bone-equivalent path, same shape.
        spectrum: Of the tube, e.g. one of SPECTRA.
    """
    passed = torch.zeros_like(water_mm)
    for share, water, bone in bins(spectrum):
        passed += share * torch.exp(-(water * water_mm + bone * bone_mm))
    return passed


def add_scatter(primary: torch.Tensor, ratio: float, sigma_px: float) -> torch.Tensor:
    """Return the signal with scattered photons: the primary one plus `ratio` times its blurred self.

    Args:
        primary: (..., rows, columns).
        ratio: Scatter-to-primary ratio at the detector, 0 for none; about 0.3 to 1 behind a grid, more
            without (Niklason et al., Med. Phys. 8 (1981) 677).
        sigma_px: Of the Gaussian that scattering spreads a pixel over.
    """
    return primary + ratio * blurred(primary, sigma_px)


def add_quantum_noise(signals: torch.Tensor, photons: float, generator: torch.Generator) -> torch.Tensor:
    """Return signals as counted: Poisson noise as a Gaussian, never below one photon.

    Args:
        signals: Shares of the unattenuated signal.
        photons: That reach a pixel through air; the dose.
        generator: On the device of `signals`.
    """
    white = torch.randn(signals.shape, generator=generator, device=signals.device)
    noisy = signals + (signals.clamp(min=0) / photons).sqrt() * white
    return noisy.clamp(min=1 / photons)


def blur_detector(signals: torch.Tensor, sigma_px: float) -> torch.Tensor:
    """Return the signal behind a detector whose modulation transfer is exp(-2 (pi f sigma)^2)."""
    return blurred(signals, sigma_px)


def detector_sigma_mm(half_at_per_mm: float) -> float:
    """Return the sigma of a detector whose modulation transfer falls to a half at that frequency.

    >>> round(detector_sigma_mm(1.2), 3)  # caesium iodide flat panels: 1.0 to 1.5 line pairs per mm
    0.156
    """
    return math.sqrt(math.log(2) / 2) / (math.pi * half_at_per_mm)


def film_density(signals: torch.Tensor) -> torch.Tensor:
    """Return -log of the signal: what is dense is bright, and twice the tissue twice as bright."""
    return -signals.clamp(min=torch.finfo(torch.float32).tiny).log()


WIDE_SIGMA_PX = 8.0
"""Blurs from here on are made on a grid coarser by COARSER: the same picture in a fraction of the time."""
COARSER = 4
REACH_SIGMAS = 3.5


def blurred(images: torch.Tensor, sigma_px: float) -> torch.Tensor:
    """Return images (..., rows, columns) blurred by a Gaussian, edges continued."""
    if sigma_px <= 0:
        return images
    stack = images.reshape(-1, 1, *images.shape[-2:])
    if sigma_px < WIDE_SIGMA_PX:
        return _convolved(stack, sigma_px).reshape(images.shape)
    rows, columns = images.shape[-2:]
    margins = (0, -columns % COARSER, 0, -rows % COARSER)
    coarse = torch.nn.functional.avg_pool2d(
        torch.nn.functional.pad(stack, margins, mode="replicate"), COARSER
    )
    smooth = torch.nn.functional.interpolate(
        _convolved(coarse, sigma_px / COARSER), scale_factor=COARSER, mode="bilinear"
    )
    return smooth[..., :rows, :columns].reshape(images.shape)


def _convolved(stack: torch.Tensor, sigma: float) -> torch.Tensor:
    """Return (images, 1, rows, columns) convolved along rows and columns."""
    reach = math.ceil(REACH_SIGMAS * sigma)
    steps = torch.arange(-reach, reach + 1, device=stack.device, dtype=stack.dtype)
    weights = torch.exp(-((steps / sigma) ** 2) / 2)
    weights /= weights.sum()
    padded = torch.nn.functional.pad(stack, (reach,) * 4, mode="replicate")
    along_rows = torch.nn.functional.conv2d(padded, weights[None, None, None, :])
    return torch.nn.functional.conv2d(along_rows, weights[None, None, :, None])

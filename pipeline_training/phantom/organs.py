"""Soft parts: skin, muscle, lungs, heart, vessels, airways, and what lies under the domes."""

import numpy as np

from pipeline_training.phantom.canvas import Canvas, Mask, Points, moved
from pipeline_training.phantom.frame import Frame
from pipeline_training.phantom.parameters import Arms
from pipeline_training.phantom.skeleton import SIDES, humerus_path
from pipeline_training.volumes import LUNG_LOBES

SOFT = ("body", "muscle")
WALL_MM, PLEURA_MM = 13.0, 6.5
"""Muscle outside the cage's middle line, and the lungs' distance inside it."""

MEDIASTINUM_MM = 25.0
"""Half its width in the middle of the thorax."""

DIAPHRAGM_MM = 4.0
BASE_MM = -200.0
"""Where the abdominal organs are cut off."""

ARCH_RADIUS_MM, AORTA_MM, DESCENDING_MM = 25.0, 13.0, 11.0
"""Of the aortic arch's middle line, of the ascending and of the descending aorta."""

TRACHEA_MM = 8.5
"""Inner radius; below its end the main bronchi have parted: they do so within 7.4 mm."""

HEART_MM = np.array([68.0, 48.0, 45.0])
"""Half axes of the heart: base to apex, front to back, the third."""

BEFORE_VESSELS = ("heart", "vertebrae", "rib", "sternum", "costal", "clavicula")
"""Beginnings of the names of what vessels are not painted over."""

WALL_SHARE = 0.7
"""Inner over outer axes of the left ventricle."""


def paint_body(canvas: Canvas, frame: Frame) -> None:
    """Paint fat under the skin and the muscle inside it: trunk, neck, shoulders, arms, breasts."""
    x, y, z = canvas.grid
    given, width = frame.parameters, frame.parameters.width
    fat, top = given.fat, given.height
    for name, less in (("body", 0.0), ("muscle", fat)):
        trunk = frame.in_cage(x, y, z, WALL_MM + fat - less) & (z < top)
        flank = (
            (x / (0.98 * width + 13 + fat - less)) ** 2
            + ((y - frame.centre_y(-60.0)) / (given.depth + WALL_MM + fat - less)) ** 2
            <= 1
        ) & (z < -30)
        neck = (
            (x / (50 + 0.5 * fat - less)) ** 2 + ((y - frame.spine_y(top) + 26) / (56 - less)) ** 2 <= 1
        ) & (z > 0.7 * top)
        canvas.paint(name, trunk | flank | neck)
        for side in SIDES.values():
            for path, radius in _limbs(frame, side):
                mask, box = canvas.tube(path, radius - less)
                canvas.paint(name, mask, None if name == "body" else SOFT, box)
    if given.breast:
        for name, side in SIDES.items():
            middle = np.array(
                [side * 0.52 * width, float(frame.centre_y(0.0) - frame.half_depth(0.0)) - 2, -6.0]
            )
            mask, box = canvas.ellipsoid(middle, given.breast * np.array([1.05, 0.85, 1.0]))
            canvas.paint(
                f"breast_{name}", mask & ~frame.in_cage(*canvas.axes(box), margin=WALL_MM), None, box
            )


def _limbs(frame: Frame, side: int) -> list[tuple[Points, float]]:
    """Return (path, radius with fat) of shoulder and arm."""
    height, width, fat = frame.parameters.height, frame.parameters.width, frame.parameters.fat
    y = float(frame.centre_y(0.66 * height))
    shoulder = np.array(
        [
            [side * 25, y + 8, 1.02 * height],
            [side * 0.7 * width, y + 8, 0.78 * height],
            [side * 1.18 * width, y + 8, 0.68 * height],
        ]
    )
    limbs = [(shoulder, 34 + fat), (shoulder - [0, 0, 0.22 * height], 34 + fat)]
    if frame.parameters.arms is not Arms.ABSENT:
        limbs.append((humerus_path(frame, side), 36 + fat))
    return limbs


def paint_lungs(canvas: Canvas, frame: Frame) -> None:
    """Paint the five lobes: inside the ribs, over the domes, beside the mediastinum."""
    x, y, z = canvas.grid
    inside = frame.in_cage(x, y, z, -PLEURA_MM) & (z < frame.parameters.height)
    beside = _beside_mediastinum(frame, x, y, z)
    oblique = z - 0.62 * (y - frame.centre_y(0.0)) * frame.scale
    for name, side in SIDES.items():
        lung = inside & beside & (side * x > 0) & (z > frame.domes[name].height(x, y))
        upper = oblique >= (8 if side < 0 else 14) * frame.scale
        canvas.paint(f"lung_lower_lobe_{name}", lung & ~upper)
        if name == "right":
            front = upper & (z < 22 * frame.scale)
            canvas.paint("lung_middle_lobe_right", lung & front)
            upper = upper & ~front
        canvas.paint(f"lung_upper_lobe_{name}", lung & upper)


def _beside_mediastinum(frame: Frame, x: Points, y: Points, z: Points) -> Mask:
    """Return what lies beside the mediastinum, which is narrow in front and behind, and beside the spine."""
    depth = (y - frame.centre_y(z)) / np.maximum(1.06 * frame.half_depth(z), 1)
    narrow = np.clip((z - 40) / 100, 0, 1) * 6
    half = (MEDIASTINUM_MM - narrow) * np.sqrt(np.maximum(1 - depth**2, 0.06))
    from_spine = ((x - frame.spine_x(z)) / 23) ** 2 + ((y - frame.spine_y(z) - 8) / 24) ** 2
    return np.asarray((np.abs(x) > half) & (from_spine > 1))


def heart_axes(frame: Frame) -> tuple[Points, Points, Points]:
    """Return centre (3,), half axes (3,) and axes (3, 3; base to apex, forwards, the third) of the heart."""
    tilt = np.radians(frame.parameters.heart_tilt_deg)
    long = np.array([np.cos(tilt) * 0.88, -0.45, -np.sin(tilt)])
    long /= np.linalg.norm(long)
    third = np.cross(long, [0.0, -1.0, 0.0])
    third /= np.linalg.norm(third)
    radii = HEART_MM * frame.parameters.heart_size
    floor = frame.domes["right"].top - 6
    front = float(frame.centre_y(0.0) - frame.half_depth(0.0))
    centre = np.array(
        [16.0 + 10 * (frame.parameters.heart_size - 1), front + 14 + radii[1], floor + 0.92 * radii[2]]
    )
    return centre, radii, np.stack([long, np.cross(third, long), third])


def paint_heart(canvas: Canvas, frame: Frame) -> None:
    """Paint the chambers: atria at the base, right ventricle in front, left one with its wall behind."""
    centre, radii, axes = heart_axes(frame)
    whole, box = canvas.ellipsoid(centre, radii, axes)
    x, y, z = canvas.axes(box)
    away = np.stack(np.broadcast_arrays(x - centre[0], y - centre[1], z - centre[2]), axis=-1) @ axes.T
    along, forwards, third = (away[..., axis] / radii[axis] for axis in range(3))
    base, right = along < -0.22, third < 0.1 - 0.35 * forwards
    front = forwards - 0.25 * third > 0.12
    canvas.paint("heart_myocardium", whole, None, box)
    canvas.paint("heart_ventricle_right", whole & ~base & front, None, box)
    cavity = (along - 0.1) ** 2 + (forwards + 0.42) ** 2 / 0.8 + third**2 < WALL_SHARE**2
    canvas.paint("heart_ventricle_left", whole & ~base & ~front & cavity, None, box)
    canvas.paint("heart_atrium_right", whole & base & right, None, box)
    canvas.paint("heart_atrium_left", whole & base & ~right, None, box)


def aorta_path(frame: Frame) -> tuple[Points, Points, Points]:
    """Return the middle lines (n, 3) of ascending aorta, arch (a half circle) and descending aorta."""
    middle = frame.carina - 8.0
    before = np.array([-10.0, float(frame.spine_y(middle)) - 64, middle])
    behind = np.array([22.0, float(frame.spine_y(middle)) - 26, middle])
    towards = (behind - before) / np.linalg.norm(behind - before)
    centre, radius = (before + behind) / 2, float(np.linalg.norm(behind - before) / 2)
    turn = np.linspace(np.pi, 0, 60)[:, None]
    arch = centre + radius * (np.cos(turn) * towards + np.sin(turn) * np.array([0.0, 0.0, 1.0]))
    root, _, _ = heart_axes(frame)
    rise = np.array([moved(root, -12, 6, 24), moved(before, -4, -3, -22), before])
    levels = np.linspace(middle, BASE_MM - 10, 30)
    aside = 22 - 14 * (middle - levels) / (middle - BASE_MM)
    fall = np.stack([aside + frame.spine_x(levels), frame.spine_y(levels) - 26, levels], axis=1)
    return rise, arch, fall


def paint_vessels(canvas: Canvas, frame: Frame) -> None:
    """Paint aorta, pulmonary artery, caval and brachiocephalic vessels."""
    root, radii, _ = heart_axes(frame)
    rise, arch, fall = aorta_path(frame)
    hilum, top = frame.carina - 34, frame.parameters.height
    front = float(frame.centre_y(0.0) - frame.half_depth(0.0)) + 40
    back = float(frame.spine_y(hilum)) - 44
    cava = [-30.0, back, frame.carina + 14]
    trunk = [18, front, root[2] + 0.6 * radii[2]]
    low, lowest = float(frame.spine_y(-120.0)) - 26, float(frame.spine_y(BASE_MM)) - 26
    mouth = [-20, root[1] + 22, root[2] - 20]
    right_hilum, left_hilum = [-58, back + 6, hilum - 6], [62, back + 10, hilum]
    crossing, left_angle = [20, back - 18, 0.74 * top], [52, back - 10, 0.92 * top]
    tubes: list[tuple[str, list[list[float]] | Points, float]] = [
        ("pulmonary_artery", [trunk, [14, back - 12, hilum + 8], [20, back, hilum + 12]], 12),
        ("pulmonary_artery", [[14, back - 8, hilum + 8], [-20, back + 2, hilum + 4], right_hilum], 8.5),
        ("pulmonary_artery", [[18, back, hilum + 12], [42, back + 6, hilum + 10], left_hilum], 8.5),
        ("superior_vena_cava", [cava, [-30, back - 4, root[2] + 20]], 9),
        ("brachiocephalic_vein_right", [cava, [-38, back - 6, 0.92 * top]], 6),
        ("brachiocephalic_vein_left", [cava, crossing, left_angle], 6),
        ("brachiocephalic_trunk", [[0, back - 12, frame.carina + 18], [-18, back - 4, 0.92 * top]], 5.5),
        ("inferior_vena_cava", [mouth, [-24, low, -120], [-22, lowest, BASE_MM]], 11),
        ("aorta", rise, AORTA_MM),
        ("aorta", arch, AORTA_MM),
        ("aorta", fall, DESCENDING_MM),
    ]
    in_front = tuple(n for n in canvas.names.values() if n.startswith(BEFORE_VESSELS))
    for name, path, radius in tubes:
        mask, box = canvas.tube(np.asarray(path, np.float64), radius)
        canvas.paint(name, mask & ~canvas.mask(*in_front)[box], None, box)


def paint_airways(canvas: Canvas, frame: Frame) -> None:
    """Paint trachea, main bronchi and oesophagus."""
    z, top = frame.carina, frame.parameters.height + 45
    parts = np.array([0.0, float(frame.spine_y(z)) - 38, z])
    trachea = np.array(
        [
            [0.0, float(frame.spine_y(top)) - 32, top],
            [0.0, float(frame.spine_y(0.8 * top)) - 33, 0.8 * top],
            parts,
        ]
    )
    paths = (
        ("trachea", trachea, TRACHEA_MM),
        ("bronchi", np.array([parts, moved(parts, -34, 2, -26)]), 6.5),
        ("bronchi", np.array([parts, moved(parts, 44, 4, -24)]), 6.0),
    )
    levels = np.linspace(top, frame.domes["left"].top - 14, 30)
    gullet = np.stack(
        [
            6 + 20 * np.clip((-levels) / 60, 0, 1),
            frame.spine_y(levels) - 23 - 12 * np.clip((-levels) / 60, 0, 1),
            levels,
        ],
        axis=1,
    )
    mask, box = canvas.tube(gullet, 6.5)
    canvas.paint("esophagus", mask, (*SOFT, *LUNG_LOBES), box)
    for name, path, radius in paths:
        mask, box = canvas.tube(path, radius)
        canvas.paint(name, mask, (*SOFT, *LUNG_LOBES, "esophagus"), box)


def paint_abdomen(canvas: Canvas, frame: Frame) -> None:
    """Paint the diaphragm, and under it liver, stomach, spleen and the rest, down to the grid's end."""
    x, y, z = canvas.grid
    right, left = frame.domes["right"], frame.domes["left"]
    cavity = frame.in_cage(x, y, z, -PLEURA_MM) & (z > BASE_MM - 20)
    surface = np.where(x < 0, right.height(x, y), left.height(x, y))
    under = cavity & (z <= surface)
    canvas.paint("diaphragm", under & (z > surface - DIAPHRAGM_MM), (*SOFT, *LUNG_LOBES))
    spread = 0.55 * (x + 30) * (x > -30)
    liver = under & (z <= surface - DIAPHRAGM_MM) & (z > -165 * frame.scale + spread) & (x < 48)
    canvas.paint("liver", liver, SOFT)
    middle = float(frame.centre_y(-100.0))
    ellipsoids = (
        ("stomach", [56, middle - 6, left.top - 52], [42, 46, 50]),
        ("spleen", [0.72 * frame.parameters.width, middle + 34, left.top - 55], [26, 40, 46]),
        ("kidney_left", [58, float(frame.spine_y(-150.0)) - 6, -152], [26, 22, 50]),
        ("kidney_right", [-58, float(frame.spine_y(-160.0)) - 6, -162], [26, 22, 50]),
        ("gallbladder", [-52, middle - 44, -158], [16, 18, 24]),
        ("small_bowel", [8, middle - 34, -205], [74, 42, 34]),
    )
    for name, centre, radii in ellipsoids:
        mask, box = canvas.ellipsoid(np.array(centre, np.float64), np.array(radii, np.float64))
        canvas.paint(name, mask & under[box], SOFT, box)
    bends = (
        [-98, middle, -212], [-96, middle - 24, -172], [0, middle - 52, -178], [92, middle - 20, -140],
        [104, middle + 14, -212],
    )  # fmt: skip
    loop = (
        [-34, middle - 6, -140], [-46, middle + 4, -170], [-20, middle + 10, -196], [20, middle + 6, -192],
    )  # fmt: skip
    tubes = (
        ("pancreas", ([-28, middle + 8, -158], [20, middle + 2, -142], [70, middle + 14, -130]), 11.0),
        ("duodenum", loop, 12.0),
        ("colon", bends, 17.0),
    )
    for name, path, radius in tubes:
        mask, box = canvas.tube(np.array(path, np.float64) * [frame.parameters.width / 135, 1, 1], radius)
        canvas.paint(name, mask & under[box], (*SOFT, "liver"), box)

"""Bones: vertebrae, ribs with their cartilage, sternum, shoulders and arms. All paths in mm, see `canvas`."""

import numpy as np

from pipeline_training.phantom.canvas import Canvas, Points, moved
from pipeline_training.phantom.frame import LEVELS, Frame
from pipeline_training.phantom.parameters import Arms

SIDES = {"right": -1, "left": 1}
SOFT = ("body", "muscle")

RIB_END_DEG = (148, 150, 150, 150, 149, 148, 147, 142, 135, 125, 96, 64)
"""Angle from behind at which each rib ends and its cartilage begins."""

RIB_DROP_MM = (26, 44, 58, 70, 80, 88, 94, 94, 90, 84, 62, 42)
"""How far each rib descends from its head to its end."""

RIB_BEGIN_DEG = 9.0
RIB_MM = 5.0
LAST_STERNAL_RIB, LAST_JOINED_RIB = 7, 10
STERNUM_TOP, STERNUM_BOTTOM = 0.72, -0.42
"""Of the height of the apices."""


def rib_path(frame: Frame, number: int, side: int) -> Points:
    """Return the middle line (n, 3) of a rib, from its head to the end of its bone."""
    slope = frame.parameters.rib_slope * frame.scale
    turn = np.radians(np.linspace(RIB_BEGIN_DEG, RIB_END_DEG[number - 1], 120))
    begun = (1 - np.cos(turn - turn[0])) / (1 - np.cos(turn[-1] - turn[0]))
    level = frame.middle(f"T{number}") + 5 - RIB_DROP_MM[number - 1] * slope * begun
    path = frame.on_cage(turn, level, side)
    path[:, 0] += frame.spine_x(level) * np.exp(-6 * turn / np.pi)  # the heads follow a curved spine
    return path


def paint_spine(canvas: Canvas, frame: Frame) -> None:
    """Paint the vertebrae: body, arch, spinous and transverse processes."""
    x, y, z = canvas.grid
    for index, level in enumerate(LEVELS):
        low, high = frame.vertebrae[level]
        name, middle = f"vertebrae_{level}", (low + high) / 2
        here = np.array([float(frame.spine_x(middle)), float(frame.spine_y(middle)), middle])
        across, deep = 13 + 0.55 * index, 10 + 0.4 * index
        body = ((x - here[0]) / across) ** 2 + ((y - here[1]) / deep) ** 2 <= 1
        canvas.paint(name, body & (z >= low) & (z <= high))
        back = moved(here, 0, deep, 0)
        processes = [np.array([moved(back, 0, 9, -2), moved(back, 0, 30, -15)])]
        for side in SIDES.values():
            processes.append(np.array([moved(back, side * 9, -2, 1), moved(back, side * 7, 10, 0)]))
            processes.append(np.array([moved(back, side * 9, 7, 1), moved(back, side * 26, 13, 5)]))
        for path in processes:
            mask, box = canvas.tube(path, 3.8)
            canvas.paint(name, mask, SOFT, box)


def paint_ribs(canvas: Canvas, frame: Frame) -> None:
    """Paint the ribs and their cartilage; the false ones join the one above, the last two end free."""
    for name, side in SIDES.items():
        above: Points | None = None
        for number in range(1, 13):
            path = rib_path(frame, number, side)
            mask, box = canvas.tube(path, RIB_MM)
            canvas.paint(f"rib_{name}_{number}", mask, SOFT, box)
            if number <= LAST_JOINED_RIB:
                above = _cartilage(frame, number, side, path[-1], above)
                mask, box = canvas.tube(above, RIB_MM)
                canvas.paint("costal_cartilages", mask, SOFT, box)


def _cartilage(frame: Frame, number: int, side: int, end: Points, above: Points | None) -> Points:
    """Return the path from a rib's end to the sternum, or to the middle of the cartilage above."""
    if number > LAST_STERNAL_RIB and above is not None:
        joint = above[len(above) // 2]
        return np.array([end, moved((end + joint) / 2, 0, -2, -8), joint])
    share = (number - 1) / (LAST_STERNAL_RIB - 1)
    top, bottom = STERNUM_TOP * frame.parameters.height - 12, STERNUM_BOTTOM * frame.parameters.height + 18
    z = top + share * (bottom - top)
    target = np.array([side * 17.0, _front(frame, z), z])
    dip = np.array([0.0, -3.0, -6.0 * share])
    return np.array([end, (2 * end + target) / 3 + dip, (end + 2 * target) / 3 + dip, target])


def _front(frame: Frame, z: float) -> float:
    """Return how far in front the sternum lies at a height."""
    return float(frame.centre_y(z) - frame.half_depth(z)) + 1


def paint_sternum(canvas: Canvas, frame: Frame) -> None:
    """Paint manubrium and body of the sternum."""
    height = frame.parameters.height
    levels = np.linspace(STERNUM_TOP * height, STERNUM_BOTTOM * height, 30)
    front = np.array([_front(frame, float(z)) for z in levels])
    spread = np.where(levels > 0.42 * height, 17, 10)
    for share in (-1, -0.5, 0, 0.5, 1):
        mask, box = canvas.tube(np.stack([share * spread, front, levels], axis=1), 5.5)
        canvas.paint("sternum", mask, SOFT, box)


def clavicle_path(frame: Frame, side: int) -> Points:
    """Return the middle line (4, 3) of a clavicle, from its medial end."""
    z = STERNUM_TOP * frame.parameters.height
    front, shoulder = _front(frame, z), 1.08 * frame.parameters.width
    y = float(frame.centre_y(z))
    return np.array(
        [
            [side * 17, front, z + 3],
            [side * 60, front - 4, z + 12],
            [side * 0.75 * shoulder, y - 6, z + 24],
            [side * shoulder, y + 4, z + 22],
        ]
    )


def paint_shoulders(canvas: Canvas, frame: Frame) -> None:
    """Paint clavicles, scapulae and, where there are arms, the humeri."""
    for name, side in SIDES.items():
        mask, box = canvas.tube(clavicle_path(frame, side), 6.0)
        canvas.paint(f"clavicula_{name}", mask, SOFT, box)
        for path in _scapula(frame, side):
            mask, box = canvas.tube(path, 3.4)
            canvas.paint(f"scapula_{name}", mask, SOFT, box)
        if frame.parameters.arms is not Arms.ABSENT:
            mask, box = canvas.tube(humerus_path(frame, side), np.array([20.0, 13, 12, 12]))
            canvas.paint(f"humerus_{name}", mask, SOFT, box)


def _scapula(frame: Frame, side: int) -> list[Points]:
    """Return paths that fill the blade, and the spine with the acromion."""
    height, width = frame.parameters.height, frame.parameters.width

    def behind(x: float, z: float, more: float) -> Points:
        """Return a point behind the cage."""
        share = min(abs(x) / float(frame.half_width(z) + 12), 0.999)
        y = float(frame.centre_y(z)) + float(frame.half_depth(z) + 12) * np.sqrt(1 - share**2)
        return np.array([side * x, y + more, z])

    inner_top, tip = behind(0.52 * width, 0.74 * height, 0), behind(0.62 * width, -0.12 * height, 2)
    joint = np.array([side * 1.06 * width, float(frame.centre_y(0.66 * height)) + 14, 0.66 * height])
    blade = [
        np.array([inner_top + s * (tip - inner_top), joint + s * (tip - joint)])
        for s in np.linspace(0, 1, 46)
    ]
    ridge = behind(0.56 * width, 0.5 * height, 8)
    return [*blade, np.array([ridge, moved(joint, 0, 14, 16), moved(joint, side * 8, -8, 24)])]


def humerus_path(frame: Frame, side: int) -> Points:
    """Return the middle line (4, 3) of a humerus, from its head."""
    height, width = frame.parameters.height, frame.parameters.width
    head = np.array([side * 1.2 * width, float(frame.centre_y(0.66 * height)) + 8, 0.68 * height])
    rises = 1 if frame.parameters.arms is Arms.UP else -1
    steps = np.array([[0, 0, 0], [10, 0, 34], [22, 4, 110], [34, 8, 330]]) * [side, 1, rises]
    return np.asarray(head + steps, np.float64)

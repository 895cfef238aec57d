"""The names that a rule may use of what is found and measured; `ai` has them, and a test holds the two alike.

They stand here too because settings are checked before anything of `ai` is loaded, and know nothing of it.
"""


def _listed(names: str) -> tuple[str, ...]:
    return tuple(" ".join(name.split()) for name in names.split(";"))


MEASUREMENTS = _listed("""
cardiothoracic ratio; heart width; thoracic width; spine-centre distance; spine angle; right lung
area; left lung area; lung area ratio; heart area; right lung height; left lung height; lung height
ratio; dome height difference; relative dome height difference; mediastinal width; mediastinal
ratio; aortic arch width; carinal angle; tracheal deviation; posterior ribs above the diaphragm;
anterior ribs above the diaphragm; clavicle asymmetry
""")
"""In the order of the report; docs/measurements.md describes each."""

GROUPS = _listed("""
lungs and airways; heart and vessels; mediastinum; spine and vertebrae; rib cage; shoulder girdle;
abdomen; breasts
""")
"""Parts of the anatomy, `ai.anatomy.Group`."""

STRUCTURES = _listed("""
spine; cervical spine; thoracic spine; lumbar spine; vertebrae C1; vertebrae C2; vertebrae C3;
vertebrae C4; vertebrae C5; vertebrae C6; vertebrae C7; vertebrae T1; vertebrae T2; vertebrae T3;
vertebrae T4; vertebrae T5; vertebrae T6; vertebrae T7; vertebrae T8; vertebrae T9; vertebrae T10;
vertebrae T11; vertebrae T12; vertebrae L1; vertebrae L2; vertebrae L3; vertebrae L4; vertebrae L5;
rib_cartilage; sternum; clavicles; clavicle left; clavicle right; scapulas; scapula left; scapula
right; posterior 12th rib right; posterior 12th rib left; anterior 11th rib right; posterior 11th
rib right; anterior 11th rib left; posterior 11th rib left; anterior 10th rib right; posterior 10th
rib right; anterior 10th rib left; posterior 10th rib left; anterior 9th rib right; posterior 9th
rib right; anterior 9th rib left; posterior 9th rib left; anterior 8th rib right; posterior 8th rib
right; anterior 8th rib left; posterior 8th rib left; anterior 7th rib right; posterior 7th rib
right; anterior 7th rib left; posterior 7th rib left; anterior 6th rib right; posterior 6th rib
right; anterior 6th rib left; posterior 6th rib left; anterior 5th rib right; posterior 5th rib
right; anterior 5th rib left; posterior 5th rib left; anterior 4th rib right; posterior 4th rib
right; anterior 4th rib left; posterior 4th rib left; anterior 3rd rib right; posterior 3rd rib
right; anterior 3rd rib left; posterior 3rd rib left; anterior 2nd rib right; posterior 2nd rib
right; anterior 2nd rib left; posterior 2nd rib left; anterior 1st rib right; posterior 1st rib
right; anterior 1st rib left; posterior 1st rib left; 12th rib; posterior 11th rib; anterior 11th
rib; posterior 10th rib; anterior 10th rib; posterior 9th rib; anterior 9th rib; posterior 8th rib;
anterior 8th rib; posterior 7th rib; anterior 7th rib; posterior 6th rib; anterior 6th rib;
posterior 5th rib; anterior 5th rib; posterior 4th rib; anterior 4th rib; posterior 3rd rib;
anterior 3rd rib; posterior 2nd rib; anterior 2nd rib; posterior 1st rib; anterior 1st rib;
diaphragm; left hemidiaphragm; right hemidiaphragm; stomach; small bowel; duodenum; liver; pancreas;
kidney left; kidney right; cardiomediastinum; upper mediastinum; lower mediastinum; anterior
mediastinum; middle mediastinum; posterior mediastinum; heart; heart atrium left; heart atrium
right; heart myocardium; heart ventricle left; heart ventricle right; aorta; ascending aorta;
descending aorta; aortic arch; pulmonary artery; inferior vena cava; esophagus; lung; right lung;
left lung; lung base; mid zone lung; upper zone lung; apical zone lung; right upper zone lung; right
mid zone lung; right lung base; right apical zone lung; left upper zone lung; left mid zone lung;
left lung base; left apical zone lung; lung lower lobe left; lung upper lobe left; lung lower lobe
right; lung middle lobe right; lung upper lobe right; trachea; tracheal bifurcation; breast; breast
left; breast right; visible lung right; visible lung left
""")
"""In the order of the label table, ai/labels.csv."""

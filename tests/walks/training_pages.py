"""How the blocks about models are run: all steps, on phantoms, in sizes that take seconds."""

from tests.walks.node_pages import NODE, SENT
from tests.walks.shell import Serving
from tests.walks.walk import Walk

QUICKSTART = """
[ -d $WALKS/quickstart/bundle ] || "$PYTHON" -m tests.walks.provisions quickstart $WALKS/quickstart
ln -sfn $WALKS/quickstart quickstart
"""
"""A data set, a bundle, a card, and radiographs with masks, made once."""

SETS = """
mkdir -p radiographs
cp -r quickstart/radiographs/phantoms radiographs/jsrt
for set in wingspan montgomery; do cp -r radiographs/jsrt $set; done
"""
"""Sets of radiographs with masks, under names of real ones."""

SMALL_INPUT = ("--id our-chest", "--id our-chest --input-size 64")
BODIES = '"$PYTHON" -m tests.walks.provisions bodies .'
LABELLER = """
paxnode-train train-labeller labelled/body_0 --out labeller --steps 2
cp labeller/labeller.pt .
mkdir cases && cp -r labelled/body_1 cases/whole
"""
"""It has learned nothing: the rules find body and lungs. A body with all its labels lies beside theirs."""


HALF = "printf 'held_back = 0.5\\nlearning_rate = 1e-9\\n' > half.toml"
"""Of so few patients enough must be held back, and what a few phantoms teach would be refused as worse."""

BOTH_VIEWS = "\npaxnode-train build labelled/body_0 --out P --per-case 6 --lateral-share 0.5\n"

CLONE = "ln -sfn $ROOT/pipeline_training pipeline_training && ln -sfn $ROOT/ai ai && mkdir -p docs"
TINY = """
sed -e 's/^steps = .*/steps = [60]/' -e 's/^sizes = .*/sizes = [64]/' \\
    -e 's/^widths = .*/widths = [16, 32, 48, 64, 96]/' \\
    $ROOT/pipeline_training/default_run/run.toml > tiny.toml
"""
"""The packaged run file with sixty steps of a small network on small pictures."""

RUN = ("pipeline_training/default_run/run.toml", "tiny.toml")
CTS = ("CT CT", "ct/body_0.nii.gz ct/body_1.nii.gz")
OWN = ("own=labeller.pt", "own=labeller.pt --labeller rules")

SMALL = ("--out projections", "--out projections --per-case 3")
CHAIN = f"{CLONE}\n{QUICKSTART}\n{SETS}\n{BODIES}\n{LABELLER}\n{TINY}\ncp quickstart/card.toml ."

TRAINING_PAGES = (
    Walk(
        "training.md",
        "paxnode-train quickstart",
        then="ls quickstart/bundle/model.onnx && rm -r quickstart",
    ),
    Walk(
        "training.md",
        "paxnode-train label    CT CT",
        before=CHAIN,
        replaced=((CTS[0] + " ...", CTS[1]), OWN, SMALL, RUN, SMALL_INPUT),
        then="test -s sheet.png && jq -e .metrics bundle/manifest.json",
    ),
    Walk(
        "training.md",
        "paxnode-train train --projections projections --out run --run run.toml --radiographs",
        before="rm -r run && mv tiny.toml run.toml",
        replaced=(
            ("--radiographs SET --radiographs SET", "--radiographs wingspan --radiographs montgomery"),
        ),
        then="test -s run/checkpoint.pt",
    ),
    Walk("training.md", "torchrun", before="rm -r run", then="test -s run/checkpoint.pt"),
    Walk("training.md", "paxnode-train reopen", then="test -s run3/checkpoint.pt"),
    Walk(
        "training.md", "paxnode-train average", before="cp -r run run2", then="test -s mean.pt && rm -r run2"
    ),
    Walk(
        "training.md",
        "paxnode-train self-label",
        replaced=(
            ("--radiographs SET --radiographs SET", "--radiographs wingspan --radiographs montgomery"),
            ("told/SET_told", "told/wingspan_told"),
        ),
        then="test -s run2/checkpoint.pt",
    ),
    Walk(
        "training.md",
        "paxnode-train compare",
        before="ln -s bundle A && ln -s quickstart/bundle B",
        then="jq -e . comparison.json calibration.json repeatability.json",
    ),
    Walk(
        "training.md",
        "paxnode-train failures",
        before="""
            rm -rf B
            paxnode-train fit-reliability --bundle quickstart/bundle --out B --projections projections
        """,
        then="test -s failures.png && grep -q 'CC BY 3.0' failures.md",
    ),
    Walk(
        "training.md",
        "paxnode-train fold",
        replaced=(
            ("--radiographs SET", "--radiographs wingspan"),
            ("taught/SET", "taught/wingspan"),
            ("--id fold-$fold", "--id fold-$fold --input-size 64"),
        ),
        then="grep -q '^# Cross-validation on wingspan' cross_validation.md",
    ),
    Walk(
        "howto_retrain.md",
        "pip install",
        not_here="pip's part is `make service`; this is `make test`'s own install",
    ),
    Walk("howto_retrain.md", "paxnode-train quickstart", not_here="the same line is run on training.md"),
    Walk(
        "howto_retrain.md",
        "paxnode-train label CT CT",
        before=f"{CHAIN}{BOTH_VIEWS}paxnode-train train-judge --projections P --out judge.onnx --steps 2",
        replaced=(
            CTS,
            OWN,
            SMALL,
            RUN,
            SMALL_INPUT,
            ("--radiographs SET", "--radiographs wingspan --looks 20"),
        ),
        then="ls bundle-with-judge/judge.onnx",
    ),
    Walk(
        "howto_retrain.md",
        "paxnode-train finetune",
        before=f"cp -r wingspan corrected\n{HALF}",
        replaced=(("--bundle bundle", "--bundle quickstart/bundle --steps 1,1,1 --run half.toml"),),
        then="jq -e . tuned/comparison.json && ls tuned/bundle/model.onnx",
    ),
    Walk(
        "howto_retrain.md",
        "paxnode-train compare",
        before="ln -s quickstart/bundle OLD",
        then="jq -e . comparison.json",
    ),
    Walk(
        "howto_retrain.md",
        "paxnode segment films/",
        before="mkdir films && cp wingspan/images/* films/",
        replaced=(("--bundle bundle", "--bundle bundle || [ $? = 1 ]"),),  # it may refuse some of them
        then="ls looked-at/*/overlay.png",
    ),
    Walk("howto_retrain.md", "[model]\nbundle", into="new.toml"),
    Walk(
        "howto_retrain.md",
        "paxnode check",
        before=f"""
            mkdir -p /var/lib/paxnode-models && cp -r bundle /var/lib/paxnode-models/our-chest
            printf '[node]\\ndata_dir = "data"\\n' | tee node.toml >> new.toml
            paxnode serve --config node.toml
            {SENT}
        """,
        serving=(NODE,),
        replaced=(("systemctl restart paxnode", "cp new.toml node.toml\npaxnode serve --config node.toml"),),
        then="cat .walk/serving-*.log | grep model_id | jq -r .model_id | grep -v paxnode-chest",
    ),
    Walk(
        "labelling.md",
        "paxnode-train train-labeller",
        before=BODIES,
        replaced=(
            (
                "LABELLED LABELLED ... --out labeller",
                "labelled/body_0 labelled/body_1 --out labeller --steps 2",
            ),
            (CTS[0] + " ...", CTS[1]),
            SMALL,
        ),
        then="test -s projections/report.html",
    ),
    Walk(
        "labelling.md",
        "paxnode-train repair",
        replaced=(("LABELLED LABELLED ...", "labelled/body_0 labelled/body_1"),),
        then="test -s repaired/body_1/report.json",
    ),
    Walk(
        "building.md",
        "paxnode-train build CASE CASE",
        before=BODIES,
        replaced=(
            ("CASE CASE ...", "labelled/body_0 labelled/body_1"),
            ("--per-case 150", "--per-case 2"),
        ),
        then="test -s projections/report.html && mv projections one-machine && cp -r labelled cases",
    ),
    Walk(
        "building.md",
        "dask scheduler",
        serving=(
            Serving("dask scheduler", "curl -fs http://127.0.0.1:8787/health"),
            Serving("dask worker", "curl -fs http://127.0.0.1:8787/info/main/workers.html | grep -q tcp://"),
        ),
        replaced=(("--scheduler", "--per-case 2 --scheduler"),),
        then="""
            cmp projections/body_0/manifest.jsonl one-machine/body_0/manifest.jsonl
        """,
    ),
    Walk(
        "finetuning.md",
        "paxnode-train finetune",
        before=f"{CLONE}\n{QUICKSTART}\n{SETS}\nmv wingspan corrected\n{HALF}",
        replaced=(("--out tuned/", "--out tuned/ --steps 1,1,1 --run half.toml"),),
        then="jq -e . tuned/comparison.json && ls tuned/bundle/model.onnx",
    ),
    Walk(
        "appearance.md",
        "paxnode-train project-beside",
        before=f"{QUICKSTART}\n{SETS}\n{BODIES}{BOTH_VIEWS}",
        replaced=(
            ("CASE ... --out beside", "labelled/body_0 labelled/body_1 --out beside --per-case 2"),
            ("--projections P", "--projections P --steps 2"),
            ("BUNDLE judge.onnx --out NEW", "quickstart/bundle judge.onnx --out NEW"),
        ),
        then="ls NEW/judge.onnx && jq -e . judge.json",
    ),
    Walk(
        "uncertainty.md",
        "paxnode-train fit-reliability",
        before=f"{QUICKSTART}\n{SETS}\ncp -r quickstart/bundle B",
        replaced=(
            ("--projections F", "--projections quickstart/projections --looks 40"),
            ("--radiographs SET --radiographs SET", "--radiographs wingspan --radiographs montgomery"),
        ),
        then="jq -e .reliability B/manifest.json && jq -e . check.json",
    ),
    Walk(
        "accuracy.md",
        "paxnode-train accuracy",
        before=f"{CLONE}\n{QUICKSTART}\n{SETS}",
        then="grep -q '^# Accuracy' docs/accuracy.md",
    ),
)

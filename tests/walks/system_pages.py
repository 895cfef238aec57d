"""How the blocks about machines are run: the tutorial, certificates; and what is proven elsewhere."""

from tests.walks.node_pages import NODE, SENT
from tests.walks.shell import Serving
from tests.walks.walk import Walk

IMAGE, SERVICE, PLAYGROUND = "`make image`", "`make service`", "`make playground`"
CHORE = "a chore of its own; those of `.ci/run` run there"


def of(page: str, first: str) -> str:
    """Return the lines of another page, for one that sends its reader there first."""
    return Walk(page, first).text()


AUTHORITY = (
    of("network.md", "openssl req -x509")
    .replace("node modality", "node modality pacs")
    .replace("DNS:localhost", "DNS:localhost,DNS:pacs.example.org")
)
"""What network.md makes, and a certificate for the archive that howto_tls.md presumes."""

CERTIFIED = "mkdir -p /etc/paxnode && cp -p node.key node.crt authorities.pem /etc/paxnode"

COPY = """
git clone -q $ROOT paxnode && cd paxnode
ln -s $(dirname $(dirname $PYTHON)) .venv
"""
"""The repository, with this one's virtual environment."""

SYSTEM_PAGES = (
    Walk(
        "README.md",
        "make demo ",
        not_here="`make demo` is run by the tutorial; `make test` is a chore of its own",
    ),
    Walk("CONTRIBUTING.md", "make test ", not_here=CHORE),
    Walk("viewers.md", "apt-get install", not_here="a chore of its own, and the machine's own packages"),
    Walk("tutorial.md", "sudo apt-get install", not_here="the machine's own packages, used further down"),
    Walk(
        "tutorial.md",
        "git clone REPOSITORY",
        replaced=(("REPOSITORY", "$ROOT"),),
        outside=True,
        then="test -x paxnode/.venv/bin/paxnode && ls paxnode/demo",
    ),
    Walk("tutorial.md", "mkdir first-study"),
    Walk("tutorial.md", '{\n  "Name": "first study"', into="first-study/orthanc.json"),
    Walk(
        "tutorial.md",
        "/usr/sbin/Orthanc orthanc.json",
        serving=(
            Serving("/usr/sbin/Orthanc", "curl -fs http://127.0.0.1:8043/system && echoscu 127.0.0.1 4243"),
        ),
    ),
    Walk("tutorial.md", "npm pack @ohif/app", outside=True, then="test -s ohif/index.html"),
    Walk("tutorial.md", "window.config = {", into="first-study/ohif/app-config.js"),
    Walk("tutorial.md", "daemon off;", into="first-study/nginx.conf"),
    Walk(
        "tutorial.md",
        "mkdir tmp",
        before="node --check ohif/app-config.js",
        serving=(Serving("/usr/sbin/nginx", "curl -fs http://127.0.0.1:3000/"),),
    ),
    Walk("tutorial.md", '[node]\nhost = "127.0.0.1"', into="first-study/node.toml"),
    Walk("tutorial.md", "paxnode check", serving=(NODE,), then="! grep -qi 'not ok\\|fail' $SAID"),
    Walk(
        "tutorial.md",
        "storescu -xv -aec ORTHANC",
        then="wait-for worked-off 1",
    ),
    Walk(
        "tutorial.md",
        "paxnode jobs list",
        then="""
            curl -fsS http://localhost:3000/ | grep -q app-config.js
            curl -fsS http://localhost:3000/app-config.js | cmp - ohif/app-config.js
            study=$(curl -fsS http://localhost:3000/dicom-web/studies | jq -er '.[0]["0020000D"].Value[0]')
            curl -fsS http://localhost:3000/dicom-web/studies/$study/series > series.json
            test "$(jq -c '[.[]["00080060"].Value[0]] | unique' series.json)" = '["DX","SEG","SR"]'
        """,
    ),
    Walk("installation.md", "python3 -m venv", not_here=f"{SERVICE} installs the wheels of it so"),
    Walk("installation.md", "useradd --system", not_here=SERVICE),
    Walk(
        "installation.md", "PAXNODE_DATABASE__URL", not_here="`make playground` gives the node this variable"
    ),
    Walk("installation.md", "install -m 644 deploy/paxnode@.service", not_here=SERVICE),
    Walk(
        "installation.md",
        "cd /var/lib/paxnode",
        before=f"""
            export PAXNODE_NODE__DATA_DIR=/var/lib/paxnode
            touch node.toml && mkdir /var/lib/backup
            paxnode serve --config node.toml
            {SENT}
        """,
        serving=(NODE,),
        replaced=(("/backup/", "/var/lib/backup/"),),
        then="PAXNODE_NODE__DATA_DIR=/var/lib/backup paxnode jobs list | grep done",
    ),
    Walk(
        "installation.md", "systemctl stop paxnode", not_here="there is no released version to upgrade from"
    ),
    Walk("deployment.md", "docker build --tag paxnode .", not_here=IMAGE),
    Walk(
        "deployment.md", "docker build --tag paxnode:cuda", not_here=f"{IMAGE} with CUDA=1; no GPU was tried"
    ),
    Walk(
        "deployment.md",
        "/opt/paxnode/bin/pip install",
        not_here=f"the same steps are in the Dockerfile: {IMAGE}, CUDA=1",
    ),
    Walk("deployment.md", "docker compose up", not_here=PLAYGROUND),
    Walk("deployment.md", "python3 -m pip wheel", not_here=SERVICE),
    Walk("deployment.md", "python3 -m venv", not_here=SERVICE),
    Walk(
        "deployment.md",
        "docker exec paxnode",
        not_here=f"{PLAYGROUND} dumps; tests/node takes the copy of SQLite",
    ),
    Walk("metrics.md", "scrape_configs", not_here="it is read by a test; no Prometheus is at hand"),
    Walk(
        "howto_measurement.md",
        "make statement",
        before=COPY,
        replaced=(("make", "make -o .venv/.all-installed"),),
        then="git diff --exit-code docs",
    ),
    Walk("howto_measurement.md", ".venv/bin/python -m pytest", before="export PYTHONPATH=$PWD"),
    Walk("howto_measurement.md", "paxnode segment", then="jq -e . looked-at/radiograph/measurements.json"),
    Walk(
        "performance.md",
        "python -m tests",
        before=COPY,
        replaced=(("python", "$PYTHON"), ("--part queue", "--part queue --share 0.0005")),
    ),
    Walk("network.md", "[tls]\ncertificate", into="node.toml"),
    Walk(
        "network.md", "openssl req -x509", then="openssl verify -CAfile authorities.pem node.crt modality.crt"
    ),
    Walk(
        "network.md",
        "openssl s_client",
        before=f"{CERTIFIED}\npaxnode serve --config node.toml",
        serving=(NODE,),
        then="""
            grep -q 'CONNECTION ESTABLISHED' $SAID
            /usr/bin/echoscu +tls modality.key modality.crt +cf authorities.pem -aec PAXNODE localhost 2762
        """,
    ),
    Walk(
        "howto_tls.md",
        '[tls]\ncertificate = "/etc/paxnode/node.crt"\nkey = "/etc/paxnode/node.key"\n'
        'authorities = "/etc/paxnode/authorities.pem"\nport',
        into="node.toml",
    ),
    Walk(
        "howto_tls.md",
        "chown paxnode node.key",
        before=f"useradd --system --home-dir /var/lib/paxnode paxnode\n{AUTHORITY}",
        then=CERTIFIED,
    ),
    Walk(
        "howto_tls.md",
        "paxnode check",
        before="export PAXNODE_NODE__HOST=127.0.0.1\ntls-archive",
        serving=(
            Serving(
                "tls-archive",
                "/usr/bin/echoscu +tls modality.key modality.crt +cf authorities.pem 192.0.2.10 2762",
            ),
        ),
        then="grep -q 'peers must show a certificate' $SAID",
    ),
    Walk(
        "howto_tls.md",
        "openssl s_client",
        before="paxnode serve --config node.toml",
        serving=(NODE,),
        replaced=(("echoscu", "/usr/bin/echoscu"),),
        then="""
            grep -q 'CONNECTION ESTABLISHED' $SAID && grep -q TLSv1.3 $SAID
            ! /usr/bin/echoscu -aec PAXNODE localhost 2762
            wait-for grep -q 'it does not speak TLS on the port for TLS' .walk/serving-*.log
            ! openssl s_client -connect localhost:2762 -CAfile authorities.pem -brief < /dev/null
            wait-for grep -q 'it showed no certificate' .walk/serving-*.log
        """,
    ),
    Walk("howto_tls.md", '{"reason": "it does not speak', into="lines.jsonl"),
)

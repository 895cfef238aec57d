"""How the blocks about a node are run: settings, queue, console, archives, databases, certificates."""

from tests.walks.shell import Serving
from tests.walks.walk import Walk

NODE = Serving("paxnode serve", "curl -fs http://127.0.0.1:11180/readyz")
ARCHIVE = Serving(
    "archive", "/usr/bin/echoscu 192.0.2.10 $(cat archive/port) && curl -fs http://192.0.2.10:8042/system"
)

DESTINATION = """
[[destination]]
name = "pacs"
ae_title = "PACS"
host = "192.0.2.10"
port = 104
"""

PASSWORD = "correct horse battery staple\n"
TYPED = ("--role admin", "--role admin --password-stdin")
"""Where no terminal is there to ask for a password."""

SENT = """
/usr/bin/storescu -xv -aet CR1 -aec PAXNODE 127.0.0.1 11112 $RADIOGRAPH
wait-for worked-off 1
"""
"""The sample radiograph went through the node."""

REFUSED = """
cp $RADIOGRAPH lateral.dcm
/usr/bin/dcmodify -nb -gin -i ViewPosition=LL lateral.dcm
/usr/bin/storescu -xv -aec PAXNODE 127.0.0.1 11112 lateral.dcm
wait-for worked-off 2
"""
"""A lateral view went to the node, which refused it."""

FILMS = """
mkdir -p images films
cp $RADIOGRAPH images/
"$PYTHON" -c '
import numpy as np
from PIL import Image
from pydicom import dcmread
pixels = dcmread("images/radiograph.dcm").pixel_array.astype(float)
film = Image.fromarray((255 * (pixels - pixels.min()) / np.ptp(pixels)).astype("u1"))
film.save("films/a.jpg"), film.save("films/b.tif"), film.save("chest.png")
'
"""

OPENSSL = "openssl req -x509 -newkey ec"


def written(*, more: str = "", to: str = "node.toml") -> str:
    """Return lines that write settings with the destination `pacs`."""
    return f"cat > {to} <<'END'\n{more}{DESTINATION}END\n"


def queue(*, more: str = "", archive: str = "archive PACS 104") -> str:
    """Return lines that start an archive and a node that sends to it, and let a radiograph go through."""
    return f"{written(more=more)}{archive}\npaxnode serve --config node.toml\n{SENT}"


NODE_PAGES = (
    Walk(
        "README.md",
        "paxnode serve      ",
        before=f"cp $ROOT/config/node.toml .\necho '{DESTINATION}' >> node.toml\n{FILMS}\narchive PACS 104",
        serving=(ARCHIVE, NODE),
        replaced=(
            ("paxnode check", f"{SENT}{REFUSED}paxnode check"),
            ("jobs show 12", "jobs show 1"),
            ("jobs retry 12", "jobs retry 2"),
            ("jobs rerun 12", "jobs rerun 1"),
            TYPED,
        ),
        answers=PASSWORD,
        then="""
            test -s results/radiograph/seg.dcm
            test -s results/measurements.csv
            grep -q 'ada may log in as admin' $SAID
        """,
    ),
    Walk(
        "console.md",
        "paxnode users add ada",
        before=queue(),
        serving=(ARCHIVE, NODE),
        answers=PASSWORD,
        replaced=(
            TYPED,
            (
                "revoke 3f9a1c27b0de",
                "revoke $(paxnode users tokens --config node.toml | awk '/ada/ { print $1 }')",
            ),
        ),
        then="grep -q 'ada may log in as admin' $SAID && grep -q 'of ada is revoked' $SAID",
    ),
    Walk("console.md", "location / {", into="console.conf"),
    Walk(
        "console.md",
        'curl -H "Authorization: Bearer TOKEN" "http',
        before="export TOKEN_OF_ADA=$(paxnode users token ada --config node.toml)",
        replaced=(
            ("Bearer TOKEN", "Bearer $TOKEN_OF_ADA"),
            ("curl ", "curl -fsS "),
            ("q=A123", "q=SAMPLE1"),
            ("jobs/17", "jobs/1"),
            (
                "VERSION",
                '$(curl -fsS -H "Authorization: Bearer $TOKEN_OF_ADA" http://127.0.0.1:11180/api/v1/jobs/1/masks'
                " | jq -r .version)",
            ),
        ),
        then="file heart.png | grep -q PNG && grep -q heart $SAID",
    ),
    Walk(
        "console.md",
        "TOKEN=...",
        before="cp $RADIOGRAPH chest.dcm",
        replaced=(
            ("TOKEN=...", "TOKEN=$TOKEN_OF_ADA"),
            ("curl ", "curl -fsS "),
            ('"version": 3', '"version": 1'),
        ),
        then="""
            mkdir -p tmp/body
            server="server { listen 127.0.0.1:8000; $(cat console.conf) }"
            echo "daemon off; pid nginx.pid; events {} http { $server }" > nginx.conf
            /usr/sbin/nginx -t -e stderr -p $PWD -c nginx.conf
        """,
    ),
    Walk(
        "doctor.md",
        "paxnode doctor --config my-node.toml",
        before=f"""
            {written(to="my-node.toml")}
            printf '[[peer]]\\nae_title = "CR1"\\nhost = "192.0.2.10"\\nport = 105\\n' >> my-node.toml
            archive PACS 104
            /usr/bin/storescp -aet CR1 105
        """,
        serving=(ARCHIVE, Serving("/usr/bin/storescp", "/usr/bin/echoscu 192.0.2.10 105")),
        then="grep -q 'destination pacs' $SAID && grep -q 'peer CR1' $SAID && ! grep -q ' failed ' $SAID",
    ),
    Walk(
        "formats.md",
        "paxnode segment films/",
        before=FILMS,
        then="test -s results/measurements.csv && ls results/a results/b results/chest",
    ),
    Walk("howto_dcm4chee.md", '[[destination]]\nname = "dcm4chee"', into="node.toml"),
    Walk(
        "howto_dcm4chee.md",
        "paxnode doctor dcm4chee",
        before="archive DCM4CHEE 11112",
        serving=(ARCHIVE,),
    ),
    Walk("howto_log.md", '{"sop_instance_uid"', into="lines.jsonl"),
    Walk(
        "howto_log.md",
        "paxnode jobs list --accession SAMPLE1",
        before=queue() + "! /usr/bin/echoscu -aec NOBODY 192.0.2.5 11112\n",
        serving=(ARCHIVE, NODE),
        then="grep -q 'job finished' $SAID && jq -e .event lines.jsonl",
    ),
    Walk("howto_log.md", """journalctl -u paxnode -o cat | jq -c 'select(.level == "error")'"""),
    Walk("howto_orthanc.md", '[[destination]]\nname = "orthanc"', into="node.toml"),
    Walk("howto_orthanc.md", '{ "DicomModalities"', into="archive/modalities.json"),
    Walk("howto_orthanc.md", '[[web_destination]]\nname = "orthanc"', into="web.toml"),
    Walk("howto_orthanc.md", "function OnStoredInstance", into="/etc/orthanc/autoroute.lua"),
    Walk("howto_orthanc.md", '{ "LuaScripts"', into="archive/autoroute.json"),
    Walk(
        "howto_orthanc.md",
        "curl -X POST http://192.0.2.10:8042/modalities",
        before="""
            archive ORTHANC 4242
            paxnode serve --config node.toml
            paxnode doctor orthanc --config node.toml
            paxnode doctor orthanc --config web.toml
            /usr/bin/storescu -xv -aec ORTHANC 192.0.2.10 4242 $RADIOGRAPH
            wait-for worked-off 1
        """,
        serving=(ARCHIVE, NODE),
        replaced=(
            ("-d ID", "-d $(curl -fsS http://192.0.2.10:8042/instances | jq -r .[0])"),
            ("curl ", "curl -fsS "),
        ),
        then="""
            paxnode proof --config node.toml --job 1
            curl -fsS http://192.0.2.10:8042/dicom-web/series | grep -q SEG
        """,
    ),
    Walk("howto_pacs.md", '[node]\nae_title = "PAXNODE"', into="node.toml"),
    Walk(
        "howto_pacs.md",
        "paxnode check --config node.toml",
        before="""
            archive PACS 104
            paxnode serve --config node.toml
            /usr/bin/storescu -xv -aet PACS -aec PAXNODE 192.0.2.5 11112 $RADIOGRAPH
            wait-for worked-off 1
        """,
        serving=(ARCHIVE, NODE),
    ),
    Walk(
        "howto_postgresql.md",
        "sudo -u postgres createuser",
        before="export PGHOST=127.0.0.1 PGUSER=postgres",
        answers="PASSWORD\nPASSWORD\n",
    ),
    Walk(
        "howto_postgresql.md",
        "export PAXNODE_DATABASE__URL",
        before="printf '[node]\\ndata_dir = \"old\"\\n' > node.toml",
        then="grep -q PostgreSQL $SAID && ! ls /var/lib/paxnode-postgresql",
    ),
    Walk(
        "howto_postgresql.md",
        "paxnode jobs list --state queued",
        before="""
            unset PAXNODE_DATABASE__URL PAXNODE_NODE__DATA_DIR
            paxnode serve --config node.toml
            /usr/bin/storescu -xv -aec PAXNODE 127.0.0.1 11112 $RADIOGRAPH
            wait-for worked-off 1
        """,
        serving=(NODE,),
    ),
    Walk("howto_return_to_sender.md", "[node]\ncalling_ae_titles", into="node.toml"),
    Walk(
        "howto_return_to_sender.md",
        "paxnode rules test image.dcm",
        before="cp $RADIOGRAPH image.dcm",
        then="grep -q peer:CLINIC-A $SAID",
    ),
    Walk(
        "lifecycle.md",
        "paxnode config check my-new.toml",
        before=f"""
            mkdir -p /etc/paxnode
            printf '[node]\\ndata_dir = "/var/lib/paxnode"\\n' > node.toml
            cp node.toml /etc/paxnode/ && cp node.toml my-new.toml
            {written(to="new-archive.toml")}
            cat new-archive.toml >> my-new.toml
            paxnode serve --config /etc/paxnode/node.toml
            {SENT}
        """,
        serving=(NODE,),
        then="cmp node.toml /etc/paxnode/node.toml && ls /etc/paxnode/node.toml.versions/0003.toml",
    ),
    Walk(
        "proof.md",
        "paxnode proof 1.2.840",
        before=queue(),
        serving=(ARCHIVE, NODE),
        replaced=(
            (
                "1.2.840.113619.2.5",
                "$(paxnode jobs show 1 | awk '/Study Instance UID/ { print $4 }')",
            ),
            ("--job 12", "--job 1"),
        ),
        then="grep -q delivered $SAID",
    ),
)

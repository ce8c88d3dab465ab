"""One frame of each kind of the released protocol, with every field of it set where it says something.

`python -m tests.unit.wire.golden_frames` writes those that have no file yet; what was released is never
written anew, because agents three versions old say exactly these bytes.
"""

from __future__ import annotations

from pathlib import Path

from google.protobuf import text_format
from skerry.agent.v1 import link_pb2

FOLDER = Path(__file__).parents[2] / "golden" / "link" / "v1"

FRAMES: dict[str, str] = {
    "challenge": 'challenge { nonce: "0123456789abcdef0123456789abcdef" now { seconds: 1767225600 } }',
    "hello": (
        'hello { protocol_min: 1 protocol_max: 1 agent_version: "0.1.0" boot_id: "01JBOOT" '
        'last_command_seq: 41 certificate: "\\060\\202" signature: "\\060\\105" }'
    ),
    "welcome": (
        "welcome { protocol: 1 epoch: 7 limits { max_streams: 256 max_frame_bytes: 16384 "
        "max_message_bytes: 8388608 initial_stream_credit: 65536 connection_credit: 16777216 } "
        'now { seconds: 1767225600 } ping_interval_ms: 10000 cluster: "clusters/lab" }'
    ),
    "open": (
        "stream_id: 2 open { lane: LANE_INTERACTIVE credit: 32768 deadline_ms: 30000 exec { "
        'namespace: "ns" service: "web" command: "sh" tty: true stdin: true } }'
    ),
    "data": 'stream_id: 2 data { offset: 300 channel: CHANNEL_STDOUT payload: "hello" fin: true }',
    "credit": "stream_id: 2 credit { max_offset: 98304 }",
    "reset": 'stream_id: 2 reset { status { code: 8 reason: "FLOW_CONTROL" message: "too much" } }',
    "command": (
        'command { seq: 42 command_id: "01JCMD" retry_add_on { add_on: "garage" } '
        "deadline { seconds: 1767225600 } }"
    ),
    "command_ack": "command_ack { seq: 42 }",
    "command_progress": (
        'command_progress { seq: 42 command_id: "01JCMD" version: 3 message: "applying" }'
    ),
    "command_result": (
        'command_result { seq: 42 command_id: "01JCMD" code: 10 reason: "SUPERSEDED" message: "newer" }'
    ),
    "result_ack": "result_ack { seq: 42 }",
    "command_cancel": "command_cancel { seq: 42 }",
    "report": 'report { key: "apps/a" version: 5 app { app_uid: "a" } }',
    "ping": "ping { id: 9 sent_us: 123456789 }",
    "pong": "pong { id: 9 sent_us: 123456789 }",
    "go_away": (
        'go_away { reason: GO_AWAY_REASON_DRAINING message: "the control plane is stopping" '
        "reconnect_min_ms: 200 reconnect_max_ms: 4200 }"
    ),
    "sync_streams": "sync_streams { stream_ids: 2 stream_ids: 4 }",
    "report_ack": 'report_ack { key: "apps/a" version: 5 }',
    "renew_request": 'renew_request { csr: "\\060\\202" generation: 3 }',
    "renew_result": (
        'renew_result { certificate: "\\060\\202" ca_certificates: "\\060\\203" generation: 4 }'
    ),
    "renew_stored": "renew_stored { generation: 4 }",
    "open_kept_exec": (
        "stream_id: 4 open { lane: LANE_INTERACTIVE credit: 32768 deadline_ms: 30000 exec { "
        'namespace: "ns" app: "web" command: "sh" tty: true stdin: true rows: 24 columns: 80 '
        'session: "0123456789abcdef" } }'
    ),
    "open_resume_exec": (
        "stream_id: 6 open { lane: LANE_INTERACTIVE credit: 32768 deadline_ms: 30000 resume_exec { "
        'session: "0123456789abcdef" output_received: 70000 } }'
    ),
    "data_exec_resumed": (
        # ExecStatus { resumed { running { pod: "web-1" container: "web" resumable: true }
        # input_received: 5 output_offset: 70000 } }
        "stream_id: 6 data { channel: CHANNEL_CONTROL payload: "
        '"\\032\\026\\n\\016\\n\\005web-1\\022\\003web\\030\\001\\020\\005\\030\\360\\242\\004" }'
    ),
    "renew_now": 'renew_now { reason: "the CA is rotated" }',
}


def frame(kind: str) -> link_pb2.Frame:
    """The frame of a kind."""
    return text_format.Parse(FRAMES[kind], link_pb2.Frame())


def stored(kind: str) -> bytes:
    """The bytes of a kind as they were released."""
    lines = (FOLDER / f"{kind}.hex").read_text().splitlines()
    return bytes.fromhex("".join(line for line in lines if not line.startswith("#")))


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for kind, text in FRAMES.items():
        file = FOLDER / f"{kind}.hex"
        if not file.exists():
            encoded = frame(kind).SerializeToString(deterministic=True).hex()
            rows = [encoded[start : start + 96] for start in range(0, len(encoded), 96)]
            file.write_text("\n".join([f"# {text}", *rows]) + "\n")


if __name__ == "__main__":
    main()

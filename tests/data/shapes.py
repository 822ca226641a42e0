#!/usr/bin/env python3
"""Records the shapes of MediaMTX's answers: `shapes.py API METRICS > mediamtx-VERSION-shapes.json`.

API and METRICS are HOST:PORT of a MediaMTX that runs with `api: yes` and `metrics: yes`, pulls an H.264 and Opus camera by
RTSP and has a WebRTC viewer. Names and types stay; values go. What tests/http/mediamtx.rs compares with.
"""

import json
import sys
import urllib.request

ANSWERS = ["info", "paths/list", "webrtcsessions/list", "config/paths/list", "config/global/get"]
METRICS = ["paths", "webrtc_sessions", "rtsp_conns", "rtsp_sessions"]


def get(address, path):
    with urllib.request.urlopen(f"http://{address}/{path}", timeout=5) as answer:
        return answer.read().decode()


def shape(value, keep_items):
    """The value with nothing in it: one element of each list in an answer, none of a list in a configuration."""
    if isinstance(value, bool):
        return True
    if isinstance(value, (int, float)):
        return 0
    if isinstance(value, str):
        return ""
    if isinstance(value, list):
        return [shape(item, keep_items) for item in value] if keep_items else []
    if isinstance(value, dict):
        # Keys of a Raspberry Pi's own camera are left out here as in our answers.
        members = {key: item for key, item in value.items() if not key.startswith("rpiCamera")}
        return {key: shape(item, keep_items or key == "items") for key, item in members.items()}
    return value


def answer(address, path):
    told = json.loads(get(address, f"v3/{path}"))
    if "items" not in told:
        return shape(told, False)
    # In lists of a configuration, and below the first item, nothing is kept but what viewers and tracks are.
    first = [shape(item, not path.startswith("config")) for item in told["items"][:1]]
    return {"itemCount": 0, "pageCount": 0, "items": first}


def names(address, kind):
    lines = get(address, f"metrics?type={kind}").splitlines()
    return sorted({line.replace("{", " ").split()[0] for line in lines if line and not line.startswith("#")})


def main():
    api, metrics = sys.argv[1:]
    shapes = {path: answer(api, path) for path in ANSWERS}
    shapes["metrics"] = {kind: names(metrics, kind) for kind in METRICS}
    json.dump(shapes, sys.stdout, indent=1)
    print()


main()

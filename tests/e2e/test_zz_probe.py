import json
from tests.e2e.test_browser import *
def test_probe(live):
    out=[]
    for d in live.read("display"): out.append((round(live.phase(d["received"]),1), d["emotion"], d.get("gesture")))
    with open("/tmp/look/probe.json","w") as f: json.dump(out,f)
    print(out)
    seen=[(round(live.phase(p["received"]),1),p["label"]) for p in live.read("perceptLog") if p["kind"]=="expression"]
    print(seen)
    print([(t["speaker"],t["text"]) for t in live.read("turns")])
    print([(round(live.phase(d["received"]),1),d["action"],d.get("emotion"),d["reason"]) for d in live.read("decisions")])
    assert 0

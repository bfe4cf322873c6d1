"""Texts the OpenAPI document describes by format: names of things that exist, and signed payments' frames.

Loaded by the API tester. D402_API_KNOWN is JSON: lists of names in the market under test.
"""

import base64
import json
import os

import schemathesis
from hypothesis import strategies as st

KNOWN = json.loads(os.environ.get("D402_API_KNOWN") or "{}")


def named(list_name, made_up):
    """Names that exist, where there are any, and well-formed ones that do not."""
    real = [name for name in KNOWN.get(list_name, []) if isinstance(name, str)]
    return st.sampled_from(real) | made_up if real else made_up


def frame(payload):
    """The header of an x402 v2 payment that no rail takes."""
    text = json.dumps({"x402Version": 2, "accepted": {"network": "d402:simulated"}, "payload": payload})
    return base64.b64encode(text.encode()).decode()


HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
schemathesis.openapi.format("d402-hex32", named("hex32", HEX))
schemathesis.openapi.format("d402-cid", named("cids", HEX.map("sha256:{}".format)))
NAME = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-_", min_size=16, max_size=128)
schemathesis.openapi.format("d402-payment-name", named("paymentNames", NAME))
PAYLOAD = st.dictionaries(st.sampled_from(["payment", "authorization", "nonce"]), st.text(max_size=8))
schemathesis.openapi.format("x402-payment-signature", PAYLOAD.map(frame))

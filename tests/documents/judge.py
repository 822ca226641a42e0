"""Judges TOML files by a JSON Schema: prints a line for each file, what is wrong with it or "good"."""
import json, sys, tomllib
from jsonschema import Draft202012Validator

schema = json.load(open(sys.argv[1]))
Draft202012Validator.check_schema(schema)
judge = Draft202012Validator(schema)
for name in sys.argv[2:]:
    with open(name, "rb") as file:
        faults = [f"{'.'.join(map(str, fault.absolute_path))}: {fault.message}" for fault in judge.iter_errors(tomllib.load(file))]
    print("; ".join(faults) or "good")

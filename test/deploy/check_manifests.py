"""Checks manifests against the schemas that their readers publish, and prints what is wrong, one line each.

check_manifests.py kubernetes CRDS < a stream of YAML documents
check_manifests.py compose SCHEMA < a compose file
check_manifests.py bicep < a Bicep file
check_manifests.py bundle < jobs of a Databricks bundle
"""

import json
import sys

import jsonschema
import yaml

KUBERNETES_VERSION = "1.34"


def main(kind, *arguments):
    text = sys.stdin.read()
    checks = {"kubernetes": kubernetes, "compose": compose, "bicep": bicep, "bundle": bundle}
    for mistake in checks[kind](text, *arguments):
        print(mistake)


def kubernetes(text, crd_files):
    import kubernetes_validate

    custom = {}
    for path in crd_files.split(":"):
        with open(path) as file:
            definition = yaml.safe_load(file)
        for version in definition["spec"]["versions"]:
            api = f"{definition['spec']['group']}/{version['name']}"
            custom[api, definition["spec"]["names"]["kind"]] = version["schema"]["openAPIV3Schema"]
    for document in yaml.safe_load_all(text):
        if document is None:
            continue
        place = f"{document['kind']} {document['metadata']['name']}"
        schema = custom.get((document["apiVersion"], document["kind"]))
        try:
            if schema is None:
                kubernetes_validate.validate(document, KUBERNETES_VERSION, strict=True)
            else:
                jsonschema.validate(document, closed(schema, top=True))
        except (kubernetes_validate.ValidationError, jsonschema.ValidationError) as error:
            yield f"{place}: {error.message}"
        except kubernetes_validate.SchemaNotFoundError as error:
            yield f"{place}: {error}"


def closed(schema, top=False):
    """Refuses unknown fields, which an API server would prune without a word."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and not top:
        result.setdefault("additionalProperties", False)
    return result


def compose(text, schema_file):
    with open(schema_file) as file:
        schema = json.load(file)
    validator = jsonschema.validators.validator_for(schema)(schema)
    for error in validator.iter_errors(yaml.safe_load(text)):
        yield f"{error.json_path}: {error.message}"


def bicep(text):
    import tree_sitter
    import tree_sitter_bicep

    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bicep.language()))
    todo = [parser.parse(text.encode()).root_node]
    while todo:
        node = todo.pop()
        if node.is_error or node.is_missing:
            yield f"line {node.start_point.row + 1}: {node.text.decode()[:60]!r} is no Bicep"
        todo.extend(node.children)


def bundle(text):
    from databricks.bundles.jobs import Job

    for name, job in yaml.safe_load(text)["resources"]["jobs"].items():
        try:
            Job.from_dict(job)
        except ValueError as error:
            yield f"{name}: {error}"


main(*sys.argv[1:])

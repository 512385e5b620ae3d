"""Deploys template.yaml to the local stack: expand, adapt, create or update, finish by API.

Called by `cargo paygraph up`, which starts the emulator first. Prints the stack's outputs as JSON.
A second run changes only what differs: nothing, the functions' code, or the whole stack.
"""

import argparse
import hashlib
import io
import json
import os
import pathlib
import secrets
import sys
import time
import zipfile
from datetime import datetime, timezone

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

STACK = "paygraph"
BUCKET = "paygraph-code"
REGION = "us-east-1"
TENANT = "default"
GOOD = ("CREATE_COMPLETE", "UPDATE_COMPLETE")

# What the emulator cannot do, and what is done about it here. Nothing else differs from AWS.
#   resource                          what happens there              here
#   AWS::Events::Archive              fails the stack                 left out (`expand`)
#   AWS::Serverless::HttpApi          ignores its OpenAPI: 404        its routes written out (`http_api`)
#   a parameter in ScalingConfig      stays text, stops every poller  its number written out (`expand`)
#   a table's TTL and PITR            are ignored                     set by API (`finish`)
#   the HTTP API's own host           serves no function              its URL is PublicUrl, once it is known (`run`)
DROPPED = {"AWS::Events::Archive"}

# The translator asks for AWS's managed policies by name; their ARNs are enough here.
MANAGED_POLICIES = {
    name.split("/")[-1]: f"arn:aws:iam::aws:policy/{name}"
    for name in ["service-role/AWSLambdaBasicExecutionRole", "AWSXrayWriteOnlyAccess",
                 "service-role/AWSLambdaSQSQueueExecutionRole", "AWSXRayDaemonWriteAccess"]
}


def expand(text, code, parameters):
    """The template as CloudFormation, with each function's code at its S3 key."""
    template = yaml_parse(text)
    routes = []
    for name, resource in list(template["Resources"].items()):
        kind, properties = resource["Type"], resource.get("Properties", {})
        if kind in DROPPED:
            del template["Resources"][name]
        elif kind == "AWS::Serverless::HttpApi":
            del template["Resources"][name]
        elif kind == "AWS::Serverless::Function":
            binary = resource.pop("Metadata")["BuildProperties"]["Binary"]
            properties["CodeUri"] = {"Bucket": BUCKET, "Key": code[binary]}
            for event_name, event in list(properties.get("Events", {}).items()):
                if event["Type"] == "HttpApi":
                    routes.append((name, event["Properties"]["Method"], event["Properties"]["Path"]))
                    del properties["Events"][event_name]
    template["Resources"].update(http_api(routes))
    session = boto3.session.Session(region_name=REGION)
    expanded = Translator(MANAGED_POLICIES, Parser(), boto_session=session).translate(template, {})
    for resource in expanded["Resources"].values():
        if resource["Type"] == "AWS::Lambda::EventSourceMapping":
            scaling = resource["Properties"]["ScalingConfig"]
            most = scaling["MaximumConcurrency"]
            if isinstance(most, dict):
                default = template["Parameters"][most["Ref"]]["Default"]
                scaling["MaximumConcurrency"] = int(parameters.get(most["Ref"], default))
    return expanded


def http_api(routes):
    """The HTTP API with its routes written out."""
    api = {"Ref": "HttpApi"}
    resources = {
        "HttpApi": {"Type": "AWS::ApiGatewayV2::Api",
                    "Properties": {"Name": STACK, "ProtocolType": "HTTP"}},
        "HttpApiStage": {"Type": "AWS::ApiGatewayV2::Stage",
                         "Properties": {"ApiId": api, "StageName": "$default", "AutoDeploy": True}},
    }
    for function in sorted({function for function, _, _ in routes}):
        arn = {"Fn::GetAtt": [function, "Arn"]}
        resources[f"{function}Integration"] = {
            "Type": "AWS::ApiGatewayV2::Integration",
            "Properties": {"ApiId": api, "IntegrationType": "AWS_PROXY", "IntegrationUri": arn,
                           "PayloadFormatVersion": "2.0"}}
        resources[f"{function}Permission"] = {
            "Type": "AWS::Lambda::Permission",
            "Properties": {"FunctionName": {"Ref": function}, "Action": "lambda:InvokeFunction",
                           "Principal": "apigateway.amazonaws.com"}}
    for index, (function, method, path) in enumerate(routes):
        target = {"Fn::Join": ["", ["integrations/", {"Ref": f"{function}Integration"}]]}
        resources[f"HttpRoute{index}"] = {
            "Type": "AWS::ApiGatewayV2::Route",
            "Properties": {"ApiId": api, "RouteKey": f"{method} {path}", "Target": target}}
    return resources


def package(binaries):
    """Each binary as a zip, and the key that its content gives it."""
    zips = {}
    for binary in sorted(binaries.iterdir()):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            entry = zipfile.ZipInfo("bootstrap")
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, binary.read_bytes())
        content = buffer.getvalue()
        key = f"{binary.name}-{hashlib.sha256(content).hexdigest()[:16]}.zip"
        zips[binary.name] = (key, content)
    return zips


class Deploy:
    """A deployment to one emulator."""

    def __init__(self, endpoint, template, binaries, parameters):
        self.endpoint, self.template, self.parameters = endpoint, template, parameters
        self.zips = package(binaries)

    def client(self, service):
        return boto3.client(
            service, region_name=REGION, endpoint_url=self.endpoint,
            aws_access_key_id="test", aws_secret_access_key="test",
            config=Config(retries={"max_attempts": 3}, connect_timeout=5, read_timeout=120, proxies={}))

    def run(self):
        code = {name: key for name, (key, _) in self.zips.items()}
        digest = hashlib.sha256(json.dumps(
            [self.template, pathlib.Path(__file__).read_text(), self.parameters]).encode()).hexdigest()
        state = self.remember_secrets(self.read_state())
        changed = {n: k for n, k in code.items() if state.get("code", {}).get(n) != k}
        if state.get("template") == digest and state.get("outputs"):
            if changed:
                self.upload(changed)
                self.update_code(changed, state["outputs"])
        else:
            self.upload(changed or code)
            self.create(code)
            self.parameters["PublicUrl"] = self.public_url(self.outputs())
            self.create(code)
        outputs = self.outputs()
        self.finish(outputs)
        secret, token = state["secret"], state["token"]
        self.put_secrets(secret)
        key = os.environ.get("PAYGRAPH_STRIPE_KEY")
        if key or state.get("connected"):
            self.connect(key)
        self.put_token(token, outputs["TableName"])
        self.write_state({**state, "template": digest, "code": code, "outputs": outputs,
                          "connected": bool(key)})
        return {**outputs, "WebhookSecret": secret, "ApiToken": token, "Region": REGION}

    def read_state(self):
        """What was deployed is remembered in the emulator itself, so it dies with it."""
        try:
            return json.loads(self.client("ssm").get_parameter(Name="/paygraph/deploy")["Parameter"]["Value"])
        except ClientError:
            return {}

    def remember_secrets(self, state):
        """The secret and the token, on record before they are used: a run may end anywhere."""
        if "secret" not in state:
            state = {**state, "secret": f"whsec_{secrets.token_hex(24)}",
                     "token": f"pgt_{TENANT}_{secrets.token_hex(16)}"}
            self.write_state(state)
        return state

    def write_state(self, state):
        self.client("ssm").put_parameter(
            Name="/paygraph/deploy", Value=json.dumps(state), Type="String", Overwrite=True,
            Tier="Advanced")

    def upload(self, code):
        s3 = self.client("s3")
        try:
            s3.create_bucket(Bucket=BUCKET)
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                raise
        for name, key in code.items():
            s3.put_object(Bucket=BUCKET, Key=key, Body=self.zips[name][1])

    def update_code(self, code, outputs):
        functions = self.client("lambda")
        for name, key in code.items():
            functions.update_function_code(
                FunctionName=outputs[f"{name.capitalize()}FunctionName"], S3Bucket=BUCKET, S3Key=key)

    def create(self, code):
        body = json.dumps(expand(self.template, code, self.parameters))
        # By way of S3, as for AWS: in the request itself there is room for 51,200 bytes only.
        self.client("s3").put_object(Bucket=BUCKET, Key="template.json", Body=body.encode())
        stacks = self.client("cloudformation")
        arguments = dict(
            StackName=STACK, TemplateURL=f"{self.endpoint}/{BUCKET}/template.json",
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in self.parameters.items()])
        before = self.settled(stacks)  # An earlier run may have ended in the middle.
        if before and before["StackStatus"] not in GOOD:
            stacks.delete_stack(StackName=STACK)
            before = self.settled(stacks)
        try:
            (stacks.update_stack if before else stacks.create_stack)(**arguments)
        except ClientError as error:
            if "No updates" not in str(error):
                raise
        stack = self.settled(stacks)
        if not stack or stack["StackStatus"] not in GOOD:
            sys.exit(f"the stack did not come up: {self.reasons(stacks) or 'see target/paygraph/emulator.log'}")

    def settled(self, stacks):
        """The stack once nothing moves; none when there is none."""
        deadline = time.time() + 120
        while time.time() < deadline:
            try:
                stack = stacks.describe_stacks(StackName=STACK)["Stacks"][0]
            except ClientError as error:
                if error.response["Error"]["Code"] == "ValidationError":
                    return None
                raise
            if stack["StackStatus"] == "DELETE_COMPLETE":
                return None
            if not stack["StackStatus"].endswith("_IN_PROGRESS"):
                return stack
            time.sleep(0.1)
        sys.exit("the stack was not ready within two minutes")

    def reasons(self, stacks):
        events = stacks.describe_stack_events(StackName=STACK)["StackEvents"]
        return "; ".join(f"{e['LogicalResourceId']}: {e.get('ResourceStatusReason', 'no reason given')}"
                         for e in events if "FAILED" in e["ResourceStatus"])

    def outputs(self):
        stack = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
        return {o["OutputKey"]: o["OutputValue"] for o in stack["Outputs"]}

    def public_url(self, outputs):
        return f"{self.endpoint}/_aws/execute-api/{outputs['ApiId']}/$default"

    def finish(self, outputs):
        tables = self.client("dynamodb")
        name = outputs["TableName"]
        ttl = {"Enabled": True, "AttributeName": "expires_at"}
        try:
            tables.update_time_to_live(TableName=name, TimeToLiveSpecification=ttl)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationException":
                raise
        tables.update_continuous_backups(
            TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})

    def put_secrets(self, secret):
        manager = self.client("secretsmanager")
        documents = {
            "paygraph/webhook/platform": {"secrets": [secret], "accounts": {}},
            f"paygraph/webhook/tenant/{TENANT}": {"secrets": [secret], "account": None},
            f"paygraph/webhook/product/{TENANT}": {"secrets": [secret]},
        }
        for name, document in documents.items():
            try:
                manager.create_secret(Name=name, SecretString=json.dumps(document))
            except ClientError as error:
                if error.response["Error"]["Code"] != "ResourceExistsException":
                    raise

    def connect(self, key):
        """The key for Stripe's API, the tenant's and the platform's; without one there is none."""
        manager = self.client("secretsmanager")
        document = json.dumps({"key": key, "account": None})
        for name in (f"paygraph/stripe/{TENANT}", "paygraph/stripe/platform"):
            try:
                if key:
                    manager.put_secret_value(SecretId=name, SecretString=document)
                else:
                    manager.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ResourceNotFoundException":
                    raise
                if key:
                    manager.create_secret(Name=name, SecretString=document)

    def put_token(self, token, table):
        digest = hashlib.sha256(token.encode()).hexdigest()
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.client("dynamodb").put_item(TableName=table, Item={
            "pk": {"S": f"T#{TENANT}#TOKEN#{digest}"}, "sk": {"S": "TOKEN"},
            "tenant": {"S": TENANT}, "name": {"S": "local"}, "created_at": {"S": now},
            "rights": {"L": [{"S": "read"}, {"S": "write"}]}})


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--endpoint", required=True, help="the emulator's URL")
    arguments.add_argument("--template", required=True, type=pathlib.Path)
    arguments.add_argument("--binaries", required=True, type=pathlib.Path,
                           help="a folder with the functions' binaries and nothing else")
    arguments.add_argument("--parameter", action="append", default=[], help="Name=value")
    given = arguments.parse_args()
    parameters = dict(p.split("=", 1) for p in given.parameter)
    # Whatever AWS account this machine is set up for, it is not meant.
    os.environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        os.environ.pop(name, None)
    deploy = Deploy(given.endpoint, given.template.read_text(), given.binaries, parameters)
    print(json.dumps(deploy.run()))


if __name__ == "__main__":
    main()

"""Lists the fields and enum values of Stripe's objects, from the types of PyPI's `stripe` package.

    pip download --no-deps stripe==16.1 && unzip stripe-*.whl -d package
    python3 stripe_fields.py package/stripe > stripe_fields.txt

Each line names an object, or a field of it that is an object itself, and then its fields:
`name`, `name=one|other` with the values that the types know, `name{}` for a map with keys of any
name, and `name*` where what is inside is left out.
"""

import ast
import pathlib
import re
import sys

OBJECTS = """account card charge checkout.session coupon customer discount dispute event invoice
invoice_payment item line_item payment_intent payment_method price product refund subscription
subscription_item subscription_schedule webhook_endpoint bank_account""".split()
# Fields whose insides the fake Stripe does not have.
LEFT_OUT = """address automatic_tax billing_details billing_thresholds breakdown cash_balance
collected_information confirmation_secret consent consent_collection custom_fields custom_text
customer_shipping enhanced_eligibility evidence evidence_details fraud_details future_requirements
requirements level3 issuer last_finalization_error last_payment_error next_action optional_items
payment_method_configuration_details payment_method_options payment_settings prebilling
presentment_details processing radar_options rendering shipping shipping_address_collection
shipping_cost shipping_details tax tax_id_collection tax_ids threshold_reason total_details
transfer_data trial_settings wallet_options saved_payment_method_options branding_settings
capabilities company individual controller tos_acceptance settings business_profile
automatic_payment_methods amount_details hooks destination_details phases default_settings
pending_update application invoice_creation currency_conversion name_collection phone_number_collection
adaptive_pricing after_expiration automatic_surcharge permissions managed_payments wallet three_d_secure generated_from networks
customer_tax_ids customer_address customer_details from_invoice taxes total_taxes
pretax_credit_amounts total_pretax_credit_amounts installments extended_authorization multicapture
incremental_authorization network_token overcapture checks payment_details
allowed_payment_method_types excluded_payment_method_types locale pause_schedules custom_unit_amount
tax_details package_dimensions marketing_features feature payment_method_types""".split()
# The ways to pay that are kept of `payment_method` and `charge.payment_method_details`.
WAYS = {"card", "sepa_debit", "us_bank_account", "au_becs_debit", "bacs_debit", "acss_debit"}


def literals(annotation):
    values = []
    for node in ast.walk(annotation):
        if isinstance(node, ast.Subscript) and getattr(node.value, "id", "") == "Literal":
            of = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            values += [str(value.value) for value in of]
    return sorted(set(values))


def names(annotation):
    found = set()
    for node in ast.walk(annotation):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= set(re.findall(r"\w+", node.value))
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
    return found


def fields_of(path, cls, lines):
    nested = {c.name: c for c in cls.body if isinstance(c, ast.ClassDef)}
    words = []
    for entry in cls.body:
        if not isinstance(entry, ast.AnnAssign) or entry.target.id in ("OBJECT_NAME",):
            continue
        name, annotation = entry.target.id, entry.annotation
        if name.startswith("_"):
            continue
        used = names(annotation)
        inner = [nested[used_name] for used_name in used if used_name in nested]
        is_map = bool({"UntypedStripeObject", "Dict"} & used)
        is_way = inner and name not in WAYS and path in (
            "payment_method",
            "charge.payment_method_details",
        )
        word = name
        if name in LEFT_OUT or is_way:
            word += "*"
        elif is_map:
            word += "{}"
            for cls_inside in inner:
                fields_of(f"{path}.{name}.*", cls_inside, lines)
        elif inner:
            for cls_inside in inner:
                fields_of(f"{path}.{name}", cls_inside, lines)
        elif literals(annotation):
            word += "=" + "|".join(literals(annotation))
        words.append(word)
    lines.append(f"{path}: {' '.join(words)}")


def main(package):
    package = pathlib.Path(package)
    version = re.search(r'"(.+)"', (package / "_version.py").read_text())[1]
    api = re.search(r'CURRENT = "(.+)"', (package / "_api_version.py").read_text())[1]
    print(f"# PyPI stripe {version}, API version {api}. Made by stripe_fields.py.")
    for file in sorted([*package.glob("_*.py"), *package.glob("checkout/_*.py")]):
        for cls in ast.parse(file.read_text()).body:
            if not isinstance(cls, ast.ClassDef):
                continue
            for entry in cls.body:
                if isinstance(entry, ast.AnnAssign) and entry.target.id == "OBJECT_NAME":
                    object_name = (literals(entry.annotation) or [""])[0]
                    if object_name in OBJECTS:
                        lines = []
                        fields_of(object_name, cls, lines)
                        print("\n".join(reversed(lines)))


main(sys.argv[1])

"""The form of audit.json: one JSON Schema, published as `docs/audit.schema.json` and enforced."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..attacks.norms import NORMS
from .form import check_value
from .ledger import CELLS, SIDES, cell_name
from .rules import RULES
from .verdict import MATCHES

FORMAT = "spikeproof audit 2"

Schema = dict[str, Any]


def _object(
    properties: Mapping[str, Any], *, description: str = "", optional: Sequence[str] = ()
) -> Schema:
    """An object with exactly these keys, some of which it may lack."""
    found: Schema = {
        "type": "object",
        "properties": dict(properties),
        "required": sorted(properties.keys() - set(optional)),
        "additionalProperties": False,
    }
    return {**found, "description": description} if description else found


def _array(items: Schema, *, description: str, least: int = 0) -> Schema:
    return {"type": "array", "items": items, "minItems": least, "description": description}


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


def _number(description: str, *, nullable: bool = False, **limits: int | float) -> Schema:
    kind: str | list[str] = ["number", "null"] if nullable else "number"
    return {"type": kind, "description": description, **limits}


def _share(description: str, *, nullable: bool = False) -> Schema:
    return _number(description, nullable=nullable, minimum=0, maximum=1)


def _count(description: str, *, least: int = 0) -> Schema:
    return {"type": "integer", "minimum": least, "description": description}


def _nullable(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


INTERVAL = _object(
    {
        "value": _share("Share of the samples."),
        "low": _share("Lower bound."),
        "high": _share("Upper bound."),
    }
)


def _each_side(schema: Schema, description: str) -> Schema:
    return _object(dict.fromkeys(SIDES, schema), description=description)


def _each_cell(schema: Schema, description: str) -> Schema:
    return _object({cell_name(*cell): schema for cell in CELLS}, description=description)


ATTACK = _object(
    {
        "name": _text("Key of the attack."),
        "estimator": {
            "type": ["string", "null"],
            "description": "How spikes are differentiated; null where no gradient is taken.",
        },
        "steps": _count("Gradient steps of one restart."),
        "step_size": _number("In input units; null where it follows from epsilon.", nullable=True),
        "queries": _each_side(
            _number("Null where the model lacks the estimator.", nullable=True, minimum=0),
            "Forward passes a sample, by the model attacked.",
        ),
        "zero_gradients": _each_side(
            _share("Null where there are none.", nullable=True),
            "Share of input gradient entries that were exactly zero, by the model attacked.",
        ),
        "accuracy": _each_cell(
            _share("Null where it was not run or not carried over.", nullable=True),
            "Share clean-correct and right under this attack alone: crafted on, evaluated on. Of "
            "an attack that pursued what earlier ones left: right under all of them.",
        ),
        "budget": {
            "type": ["string", "null"],
            "description": "Of recordings: what the attack may change at most, null for epsilon.",
        },
        "events": _each_side(
            _number("Null where the model lacks the estimator.", nullable=True, minimum=0),
            "Of recordings: mean of the events added plus those taken away, by the model attacked.",
        ),
    },
    optional=("budget", "events"),
)

CURVE_POINT = _object(
    {
        "level": {**_count("Epsilon in levels of 255."), "maximum": 255},
        "epsilon": _number(
            "Radius: of linf the level, of other norms of the ball that holds all such changes.",
            minimum=0,
        ),
        "n": _count("Samples.", least=1),
        **dict.fromkeys(SIDES, INTERVAL),
    }
)

ALARM = _object(
    {
        "name": {"type": "string", "enum": [rule.name for rule in RULES]},
        "model": {"type": "string", "enum": list(SIDES)},
        "value": _number("What was measured; null where nothing was.", nullable=True),
        "threshold": _number("Above it the alarm is raised, if chance does not explain it."),
        "p": _share(
            "How likely chance explains the value, times all comparisons of the audit "
            "(Bonferroni); below 0.05 it does not. Null where no chance is involved.",
            nullable=True,
        ),
        "raised": {"type": ["boolean", "null"]},
        "meaning": _text("What the value is, and what a raised alarm means."),
        "reason": {"type": ["string", "null"], "description": "Why nothing was measured."},
        "false_alarms": {
            **_nullable(
                _object(
                    {
                        "raised": _count("On so many sound models."),
                        "models": _count("Sound models audited.", least=1),
                        "at_most": _share("Upper end of the 95 % Wilson interval."),
                    }
                )
            ),
            "description": "Measured on models whose gradients are sound; null until measured.",
        },
    }
)

SAID = _array({"type": "integer", "minimum": 0}, description="Class: clean, adversarial.", least=2)

EXAMPLE = _object(
    {
        "kind": {"type": "string", "enum": ["worst", "typical"]},
        "sample": _count("Index in the test set."),
        "label": _count("Its class."),
        "attack": _text("What found it, white box on the chip."),
        "said": _each_side(SAID, "What the models answered."),
        "images": _object(
            {key: {"type": "string"} for key in ("clean", "perturbation", "adversarial")},
            description="PNG as data: addresses; grey is no change. Of recordings: steps from left "
            "to right, ON above OFF.",
        ),
        "events": _number("Of recordings: events added plus those taken away.", minimum=0),
    },
    optional=("events",),
)

RATE = _object(
    {
        "layer": _text("Name of the layer or population."),
        "rate": _number("Spikes a neuron and step.", minimum=0),
    }
)

BITS = _count("In single bits of the register.")

HEADROOM = _object(
    {
        "population": _text("Its name."),
        "register": _text("u, which wraps at either end; v above or below, which is clipped."),
        "clean": BITS,
        "reached": {**BITS, "description": "Largest that any attack within epsilon reached."},
        "bound": {**BITS, "description": "What the certificate says no image exceeds."},
        "margin": {"type": "integer", "description": "2^23 less what was reached."},
        "overflows": _count("Samples for which 2^23 was reached."),
        "certified": {"type": "boolean", "description": "Certified never to reach 2^23."},
        "holds": {"type": "boolean", "description": "The certificate, of all that was found."},
    }
)

MEAN = _object(
    {key: {"type": "number"} for key in ("value", "low", "high")},
    description="Mean with Student's t interval.",
)

SECONDS = _array(_number("Seconds.", minimum=0), description="From, to: an estimate.", least=2)

SPONGE = _object(
    {
        "synops_ratio": {**MEAN, "description": "Synaptic operations over those of the clean one."},
        "largest_ratio": _number("Of any sample.", minimum=0),
        "spikes": _number("Mean of a sample.", minimum=0),
        "changed": _share("Samples whose answer is not that of the clean image."),
        "latency_seconds": SECONDS,
    }
)

FAULTS = _array(
    _object(
        {
            "rate": _share("Chance of a stored bit, or of a spike."),
            "clean": INTERVAL,
            "adversarial": INTERVAL,
        }
    ),
    description="Accuracy by chance: mean over the draws with Student's t interval.",
)

CHIP_ONLY = _object(
    {
        "n": _count("The first samples.", least=1),
        "attack": _text("What drives registers and work up."),
        "adversarial": _text("What crafted the adversarial images, on the sound chip."),
        "draws": _count("Of each fault and chance.", least=2),
        "priced": _text("The chip whose published times the estimates of latency use."),
        "certificate_holds": {"type": "boolean"},
        "registers": _array(HEADROOM, description="Each attacked on its own; relays left out."),
        "sponge": _object(
            {
                "synops": _number("Mean of a clean sample.", minimum=0),
                "spikes": _number("Mean of a clean sample.", minimum=0),
                "latency_seconds": SECONDS,
                "free": SPONGE,
                "same_answer": SPONGE,
            }
        ),
        "bit_flips": FAULTS,
        "dropped_spikes": FAULTS,
    },
    description="What only a chip can be asked.",
)

SCHEMA: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "spikeproof audit",
    **_object(
        {
            "format": {"type": "string", "const": FORMAT},
            "matches": {
                "type": "string",
                "const": MATCHES,
                "description": "What the hardware model equals bit for bit; not silicon.",
            },
            "n": _count("Samples: the first of the official test order.", least=1),
            "epsilon": _number("Radius that was used: input units, of l0 pixels.", minimum=0),
            "epsilon_requested": _number("Radius that was asked for.", minimum=0),
            "norm": {"type": "string", "enum": list(NORMS)},
            "lattice": {"type": "boolean", "description": "Whether images are k/255."},
            "suite": _text("Name of the suite of attacks."),
            "rule": _text("When an attack counts as successful in the white-box cells."),
            "restarts": _count("Runs of each attack with a random start.", least=1),
            "seed": _count("Of all random draws."),
            "confidence": _number("Of every interval.", minimum=0.5, maximum=1),
            "batch_size": _count("Every batch is padded to it.", least=1),
            "device": _text("Kind of device that both models ran on."),
            "targets": _each_side({"type": "string"}, "What the models call themselves."),
            "clean": _each_side(INTERVAL, "Accuracy without an attack."),
            "robust": _each_cell(
                INTERVAL,
                "Share clean-correct and right under every attack: crafted on, evaluated on.",
            ),
            "robust_continuous_float": {
                **_nullable(INTERVAL),
                "description": "The float network under attacks that need not be 8-bit images.",
            },
            "black_box": _array(
                _object(
                    {
                        "source": _text("Its name, by which the context knows more of it."),
                        **dict.fromkeys(SIDES, INTERVAL),
                    }
                ),
                description="Share clean-correct and right under every attack crafted on a network "
                "that was trained apart from both models; empty without such sources.",
            ),
            "waterfall": _array(
                _object(
                    {
                        "stage": _text("float, what is rounded by then, or hardware."),
                        "clean": INTERVAL,
                        "same_points": INTERVAL,
                        "own_points": INTERVAL,
                    }
                ),
                description="From the float network to the chip: accuracy clean, at the points of "
                "largest loss that the curve's attack finds on the float network, and under the "
                "curve's attack on the stage itself; empty if not measured.",
            ),
            "published_rule": {
                **_nullable(_each_cell(INTERVAL, "")),
                "description": "Paper suite only: a sample that is wrong without an attack counts "
                "as right if the attacks repair it.",
            },
            "difference": _object(
                {
                    "value": _number("Points.", minimum=-100, maximum=100),
                    "low": _number("Lower bound.", minimum=-100, maximum=100),
                    "high": _number("Upper bound.", minimum=-100, maximum=100),
                },
                description="White-box robust accuracy on the chip minus on the float network, in "
                "percentage points, on the same samples.",
            ),
            "mcnemar": _object(
                {
                    "p": _share("Exact, two-sided."),
                    "both": _count("Robust on both."),
                    "only_float": _count("Robust on the float network only."),
                    "only_hardware": _count("Robust on the chip only."),
                    "neither": _count("Robust on neither."),
                }
            ),
            "survival": _object(
                {
                    "value": _number("Ratio.", nullable=True, minimum=0),
                    "low": _number("Lower bound.", nullable=True, minimum=0),
                    "high": _number("Upper bound.", nullable=True, minimum=0),
                    "reason": {"type": ["string", "null"], "description": "Why it is null."},
                },
                description="Robust accuracy on the chip over that of the float network.",
            ),
            "ties": _each_side(
                _count("Samples."), "Clean samples whose largest logit is shared by two classes."
            ),
            "attacks": _array(ATTACK, description="Each attack with each estimator."),
            "pursued_with": _each_side(
                _array({"type": "string"}, description="The strongest first."),
                "Estimators that the attacks on what was left ranked first.",
            ),
            "passes": _each_side(
                _number("Forward passes.", minimum=0),
                "A sample, all attacks on the model together, but for the curve.",
            ),
            "curve": _array(
                CURVE_POINT, description="White-box accuracy against epsilon.", least=1
            ),
            "curve_attack": _text("What attacked at every point of the curve."),
            "alarms": _array(ALARM, description="Signs of false robustness."),
            "examples": _array(
                EXAMPLE, description="Samples that fool the chip; empty for what is no picture."
            ),
            "rates": _each_side(
                _array(RATE, description="In the order of the layers; empty if not measured."),
                "How often neurons fire on the clean samples.",
            ),
            "chip_only": CHIP_ONLY,
            "remarks": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Oddities of data and networks, one sentence each.",
            },
            "methods": {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "How intervals and tests are computed.",
            },
            "context": {
                "type": "object",
                "description": "Network, data and hashes, as the caller gave them.",
            },
            "versions": {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "Of everything that decides results.",
            },
            "fingerprint": _text("SHA-256 over options, attacks, samples and context."),
            "samples_sha256": _text("Of the .parquet file beside it, every sample's results."),
        },
        optional=("chip_only",),
    ),
}


def check(audit: Any) -> dict[str, Any]:
    """The audit itself, where it has the form of `SCHEMA`.

    Raises:
        FormatError: If a key is missing, unknown, or holds something else; names the first.
    """
    check_value(audit, SCHEMA, place="audit")
    return audit

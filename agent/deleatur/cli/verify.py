"""`deleatur verify`: check a certificate, a record of destruction or a bundle offline."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deleatur.cli.output import as_json_option, emit, say
from deleatur.documents.plan import PublicKey
from deleatur.errors import Refused

if TYPE_CHECKING:
    from deleatur.judge.following import Left
    from deleatur.trust.verification import Verification


@click.command("verify")
@click.argument("certificate", type=click.Path(path_type=Path))
@click.option(
    "--key",
    "keys",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A public key that you trust, from elsewhere than the certificate's folder.",
)
@click.option(
    "--threshold",
    type=click.IntRange(1, 9),
    default=None,
    help="How many distinct keys must have signed (default: all that are named).",
)
@click.option(
    "--about",
    type=click.Path(path_type=Path, dir_okay=False),
    help="An identity text: is this certificate about this target?",
)
@click.option(
    "--validation",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A validation of this certificate: has somebody accepted it?",
)
@click.option(
    "--validator",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The public key that you trust to validate.",
)
@click.option(
    "--policy",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The policy that the outcome must have been held against.",
)
@click.option(
    "--then",
    "later",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The certificate of the job that went on with what this one left on hold; several in their order.",
)
@as_json_option
def command(
    certificate: Path,
    keys: tuple[Path, ...],
    threshold: int | None,
    about: Path | None,
    validation: Path | None,
    validator: Path | None,
    policy: Path | None,
    later: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Check CERTIFICATE, a folder or its envelope, without network and without the job.

    Signatures, subjects, evidence, approvals; and every claim is computed again from the plan and
    the journal, so a certificate that says more than was measured does not pass. A record of
    destruction is checked in the same way, from its documents; a bundle with everything in it.
    With a validation it is asked, too, who accepted the outcome: exit code 4 if they rejected it.
    What the job left on hold is named, with its last day where one is known; with the certificates of the
    jobs that went on with it, what of that is still left.
    """
    from deleatur.trust.keys import load_public
    from deleatur.trust.kinds import kind_of

    trusted = [load_public(k) for k in keys]
    kind = kind_of(certificate)
    if about is not None and kind != "certificate":
        raise Refused("only a certificate is about a target; name its folder with --about")
    if later:
        if kind != "certificate" or not certificate.is_dir() or validation is not None:
            raise Refused("a job goes on with a certificate's folder; name that, and validate each by itself")
        _followed(certificate, trusted, threshold or len(trusted), about, later, as_json)
        return
    if validation is not None or validator is not None or policy is not None:
        if validation is None or validator is None:
            raise Refused("a validation is checked with both `--validation` and `--validator`")
        if kind != "certificate":
            raise Refused("only a certificate is validated; name its folder")
        count = threshold or len(trusted)
        _validated(certificate, trusted, count, about, (validation, load_public(validator), policy), as_json)
        return
    asked = {"certificate": _certificate, "record": _record, "bundle": _bundle}[kind]
    asked(certificate, trusted, threshold or len(trusted), about, as_json)


def _certificate(
    where: Path, trusted: Sequence[PublicKey], threshold: int, about: Path | None, as_json: bool
) -> None:
    from deleatur.trust.verification import verify

    checked = verify(where, trusted=trusted, threshold=threshold, about=about)
    if as_json:
        emit(_facts(checked))
    elif checked.evidence:
        say(f"valid: certificate {checked.certificate_id}")
        _tell_left(_left(checked))
    else:
        say(f"signed: certificate {checked.certificate_id}; without its folder no claim was computed again")


def _followed(
    where: Path,
    trusted: Sequence[PublicKey],
    threshold: int,
    about: Path | None,
    later: Sequence[Path],
    as_json: bool,
) -> None:
    from deleatur.trust.following import follow
    from deleatur.trust.verification import verify

    first = verify(where, trusted=trusted, threshold=threshold, about=about)
    then = [verify(path, trusted=trusted, threshold=threshold, about=None) for path in later]
    left = follow(first, then)
    if as_json:
        told = [
            {"certificate": one.certificate_id, "sha256": one.sha256, "outcomes": _outcomes(one)}
            for one in then
        ]
        emit(_facts(first) | {"left": [*map(_one_left, left)], "then": told})
        return
    say(f"valid: certificate {first.certificate_id}")
    for one in then:
        say(f"valid: certificate {one.certificate_id}, which goes on with it")
        for outcome in _outcomes(one):
            say(f"{outcome['target']}: {outcome['state']}, {outcome['assurance']}")
    _tell_left(left)
    if not left:
        say("completed: nothing of it is left on hold")


def _outcomes(checked: "Verification") -> list[dict[str, str]]:
    told = checked.certificate.outcome.per_target
    return [{"target": o.target_id, "state": o.state, "assurance": o.assurance} for o in told]


def _left(checked: "Verification") -> "tuple[Left, ...]":
    from deleatur.judge.following import left_by

    return () if checked.plan is None else left_by(checked.plan)


def _tell_left(left: "Sequence[Left]") -> None:
    for one in left:
        day = "" if one.until else "; its last day is not known"
        say(f"incomplete: {one.target} left {one.size} on hold: {one.name}{day}")


def _one_left(one: "Left") -> dict[str, object]:
    return {"target": one.target, "name": one.name, "size": one.size, "until": one.until}


def _validated(
    where: Path,
    trusted: Sequence[PublicKey],
    threshold: int,
    about: Path | None,
    by: tuple[Path, PublicKey, Path | None],
    as_json: bool,
) -> None:
    from deleatur.cli.validate import require_accepted, tell_validated
    from deleatur.trust.validation import verify_validation
    from deleatur.trust.verification import verify

    certificate = verify(where, trusted=trusted, threshold=threshold, about=about)
    checked = verify_validation(certificate, *by)
    said = checked.said
    if as_json:
        told = {"outcome": said.outcome, "validator": said.validator.key_id, "at": said.validated_at}
        told |= {"sha256": checked.sha256, "policy": said.policy.digest.sha256}
        emit(_facts(certificate) | {"validation": told | {"policy_compared": checked.policy_compared}})
    else:
        say(f"valid: certificate {certificate.certificate_id}")
        tell_validated(checked)
    require_accepted(said)


def _facts(checked: "Verification") -> dict[str, object]:
    return {
        "valid": True,
        "certificate": checked.certificate_id,
        "sha256": checked.sha256,
        "evidence": checked.evidence,
        "left": [*map(_one_left, _left(checked))],
    }


def _record(
    where: Path, trusted: Sequence[PublicKey], threshold: int, _about: Path | None, as_json: bool
) -> None:
    from deleatur.cli.destruction import told
    from deleatur.trust.record import verify_record

    checked = verify_record(where, trusted, threshold)
    said = checked.statement.predicate
    if as_json:
        result = {"valid": True, "record": said.id, "sha256": checked.sha256, "evidence": checked.evidence}
        emit(result | {"state": said.state, "assurance": said.assurance, "days_late": said.entry.days_late})
        return
    without = "" if checked.evidence else "; without its folder no file was compared"
    say(f"{'valid' if checked.evidence else 'signed'}: record {said.id}{without}")
    for line in told(checked.statement):
        say(line)


def _bundle(
    where: Path, trusted: Sequence[PublicKey], threshold: int, _about: Path | None, as_json: bool
) -> None:
    from deleatur.trust.bundle import verify_bundle

    checked = verify_bundle(where, trusted, threshold)
    certificates = [one.id for one in checked.bundle.certificates]
    records = [one.id for one in checked.bundle.records]
    if as_json:
        result = {"valid": True, "bundle": checked.sha256, "files": checked.files}
        emit(result | {"certificates": certificates, "records": records})
        return
    say(f"valid: bundle of {checked.files} files, made {checked.bundle.made_at}")
    for name in certificates:
        say(f"valid: certificate {name}")
    for one in checked.bundle.records:
        late = f", {one.days_late} days late" if one.days_late else ""
        say(f"valid: record {one.id}: {one.state}, {one.assurance}{late}")

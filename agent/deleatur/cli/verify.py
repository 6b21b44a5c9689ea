"""`deleatur verify`: check a certificate offline."""

from pathlib import Path

import click

from deleatur.cli.output import as_json_option, emit, say


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
@as_json_option
def command(
    certificate: Path, keys: tuple[Path, ...], threshold: int | None, about: Path | None, as_json: bool
) -> None:
    """Check CERTIFICATE, a certificate's folder, without network and without the job.

    Signatures, subjects, evidence, approvals; and every claim is computed again from the plan and
    the journal, so a certificate that says more than was measured does not pass.
    """
    from deleatur.trust.keys import load_public
    from deleatur.trust.verification import verify

    trusted = [load_public(k) for k in keys]
    checked = verify(certificate, trusted=trusted, threshold=threshold or len(trusted), about=about)
    if as_json:
        emit(
            {
                "valid": True,
                "certificate": checked.certificate_id,
                "sha256": checked.sha256,
                "evidence": checked.evidence,
            }
        )
    elif checked.evidence:
        say(f"valid: certificate {checked.certificate_id}")
    else:
        say(f"signed: certificate {checked.certificate_id}; without its folder no claim was computed again")

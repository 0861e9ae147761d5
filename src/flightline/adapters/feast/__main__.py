"""Feast's own command line, which refuses a registry with code in it as all others do: `make ui` shows its pages so."""

from flightline.adapters.feast.registry_guard import guard_feast


def main() -> None:
    """Run what `feast` runs."""
    from feast.cli.cli import cli

    guard_feast()
    cli()


if __name__ == "__main__":
    main()

"""What every room stands on: settings, errors, the clock, the types a problem is described in."""

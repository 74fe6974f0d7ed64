"""One run after another: lock, ledger, drift, archive, verification, reasons."""

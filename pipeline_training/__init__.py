"""CT to weights: volumes, projection, training, evaluation, export. torch lives here and only here."""

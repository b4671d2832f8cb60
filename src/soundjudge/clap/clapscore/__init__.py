"""SPO-CLAPScore: the cosine of a CLAP, fitted to listeners' ratings."""

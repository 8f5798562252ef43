"""TwistedQuotes: the tutorial's quote of the day server, as a drop-in for mktap and twistd."""

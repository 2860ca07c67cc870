module pgsluice/bench/redpanda_connect

go 1.26

// Those of v4.105.0's own go.mod; the rest follows from it.
require (
	github.com/lib/pq v1.12.0
	github.com/redpanda-data/benthos/v4 v4.77.0
	github.com/redpanda-data/connect/v4 v4.105.0
)

replace github.com/99designs/keyring => github.com/Jeffail/keyring v1.2.3

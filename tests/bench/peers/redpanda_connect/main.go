// Redpanda Connect with the components of the benchmark alone: its own main can not be installed by
// name, because its go.mod has a replacement.
package main

import (
	"context"

	_ "github.com/lib/pq"
	"github.com/redpanda-data/benthos/v4/public/service"
	_ "github.com/redpanda-data/connect/v4/public/components/kafka"
	_ "github.com/redpanda-data/connect/v4/public/components/pure"
	_ "github.com/redpanda-data/connect/v4/public/components/sql/base"
)

func main() {
	service.RunCLI(context.Background())
}

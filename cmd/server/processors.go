package main

import (
	"os"
	"runtime"
)

// addProcessor lets one goroutine more run at once than there are processors, unless GOMAXPROCS in the environment says how many: who
// waits for the disk keeps a place until the runtime takes it away, and that may take it 10 ms. From then on the runtime does not follow
// a container's limit that is changed while the server runs.
func addProcessor() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
}

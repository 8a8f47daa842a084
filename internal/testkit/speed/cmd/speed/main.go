package main

import (
	"fmt"
	"os"
	"regexp"

	"github.com/eiffelbridge/eiffelbridge/internal/testkit/speed"
)

func main() {
	o := speed.HostileOptions{Progress: os.Stderr}
	if len(os.Args) > 1 {
		o.Only = regexp.MustCompile(os.Args[1])
	}
	costs, err := speed.Hostile(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	speed.HostileTable(costs, len(os.Args) > 2).Print(os.Stdout)
}

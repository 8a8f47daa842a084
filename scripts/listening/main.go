// Command listening exits with 0 if something accepts TCP connections at a host and port, else with 1. It is what
// scripts have in place of nc, which not every machine has.
package main

import (
	"net"
	"os"
	"time"
)

func main() {
	if len(os.Args) != 3 {
		os.Exit(2)
	}
	c, err := net.DialTimeout("tcp", net.JoinHostPort(os.Args[1], os.Args[2]), time.Second)
	if err != nil {
		os.Exit(1)
	}
	_ = c.Close()
}

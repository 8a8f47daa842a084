// Command codes writes the constants of package translate from the codes of the catalogue.
package main

import (
	"log"
	"os"
)

func main() {
	text, err := Constants()
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile("codes.go", text, 0o644); err != nil {
		log.Fatal(err)
	}
}

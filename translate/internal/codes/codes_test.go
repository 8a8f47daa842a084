package main

import (
	"bytes"
	"os"
	"testing"
)

func TestCodesAreNotStale(t *testing.T) {
	want, err := Constants()
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile("../../codes.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Error("translate/codes.go is not what the catalogue's codes.yaml gives; run go generate ./translate")
	}
}

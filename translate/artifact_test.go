package translate

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestPlainArtifact holds the short way of reading a purl to the general one: where it says anything, it says the same.
func TestPlainArtifact(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	types := append([]string{"swift", "cran", "conan", "bitbucket", "huggingface", "julia", "OCI", "cpan", ""}, plainTypes...)
	pieces := []string{"a", "b1", "-", ".", "..", "/", "//", "@", "%3A", "%3a", "%2F", ":", "sha256", strings.Repeat("0a", 20), "1.2.3", "_", "A", "?", "tag=1", "#", "+", "~", " ", "ü"}
	plain := 0
	for range 400_000 {
		text := "pkg:" + types[chance.IntN(len(types))] + "/"
		for range chance.IntN(7) {
			text += pieces[chance.IntN(len(pieces))]
		}
		a, ok := plainArtifact(text)
		if !ok {
			continue
		}
		plain++
		for _, all := range []bool{false, true} {
			if want, purl := anyArtifact(text, all); a != want || !purl {
				t.Fatalf("%s is read as\n%+v\nwant\n%+v, a purl: %v", text, a, want, purl)
			}
		}
	}
	if plain < 10_000 {
		t.Errorf("only %d of the texts are plain", plain)
	}
}

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
	keys := []string{"tag", "repository_url", "checksum", "download_url", "arch", "distro", "file_name", "vcs_url", "Tag", "a1", "a_b", "classifier", ""}
	values := []string{"a", "B", "1", ".", "-", "_", "%2F", "%2f", ":", "%3A", "/", "~", "=", "%", "", "registry.example.com%2Fshop"}
	plain, qualified := 0, 0
	for range 400_000 {
		text := "pkg:" + types[chance.IntN(len(types))] + "/"
		for range chance.IntN(7) {
			text += pieces[chance.IntN(len(pieces))]
		}
		if chance.IntN(2) == 0 {
			text = "pkg:oci/a@sha256%3A" + strings.Repeat("0a", 20) // what most with qualifiers are
		}
		separator := "?"
		for range chance.IntN(5) {
			text += separator + keys[chance.IntN(len(keys))] + "="
			for range 1 + chance.IntN(2) {
				text += values[chance.IntN(len(values))]
			}
			separator = "&"
		}
		for _, all := range []bool{false, true} {
			a, ok := plainArtifact(text, all)
			if !ok {
				continue
			}
			plain++
			if separator == "&" {
				qualified++
			}
			if want, purl := anyArtifact(text, all); a != want || !purl {
				t.Fatalf("%s is read as\n%+v\nwant\n%+v, a purl: %v", text, a, want, purl)
			}
		}
	}
	if plain < 20_000 || qualified < 10_000 {
		t.Errorf("only %d of the texts are plain, %d with qualifiers", plain, qualified)
	}
}

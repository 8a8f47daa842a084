package version_test

import (
	"fmt"
	"slices"

	"github.com/eiffelbridge/eiffelbridge/translate/version"
)

func ExampleCompare() {
	for _, c := range []struct{ typ, a, b string }{
		{"npm", "1.10.0", "1.9.0"},         // by number
		{"deb", "1:1.0-1", "2.0-1"},        // an epoch comes first
		{"maven", "2.0-SNAPSHOT", "2.0"},   // a snapshot comes before its release
		{"pypi", "1.0", "1.0.0"},           // two spellings of one version
		{"golang", "v1.2.3", "not-a-v1.2"}, // no version of a Go module
	} {
		order, ok := version.Compare(c.typ, c.a, c.b)
		fmt.Println(c.typ, c.a, c.b, order, ok)
	}
	// Output:
	// npm 1.10.0 1.9.0 1 true
	// deb 1:1.0-1 2.0-1 1 true
	// maven 2.0-SNAPSHOT 2.0 -1 true
	// pypi 1.0 1.0.0 0 true
	// golang v1.2.3 not-a-v1.2 0 false
}

// Sorts the versions of a Debian package; "~" comes before everything, even before the end.
func ExampleCompare_sort() {
	versions := []string{"1.0-1", "1.0~rc2-1", "1.0-1ubuntu1", "1.0~rc10-1"}
	slices.SortFunc(versions, func(a, b string) int {
		order, _ := version.Compare("deb", a, b)
		return order
	})
	fmt.Println(versions)
	// Output: [1.0~rc2-1 1.0~rc10-1 1.0-1 1.0-1ubuntu1]
}

func ExampleIsVersion() {
	fmt.Println(version.IsVersion("cargo", "1.2.3-beta.1"))
	fmt.Println(version.IsVersion("cargo", "latest"))
	fmt.Println(version.IsVersion("oci", "sha256:0f3c5d2b9e8a41c7b6d1e5f0a2948c37d6e1b5a09f4c2873d0e6b1958a7c4f23"))
	// Output:
	// true
	// false
	// false
}

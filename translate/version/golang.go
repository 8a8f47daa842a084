package version

// parseGo reads a Go module version (Go Modules Reference, "Versions"). A
// pseudo-version needs no rule of its own: its form was chosen to sort as a
// pre-release between the tags around it. "+incompatible" is build metadata
// and has no precedence. The module system always writes the leading "v"; it
// is optional here because package URLs are also written without it.
func parseGo(s string) (semverVersion, bool) {
	return parseLooseSemver(s)
}

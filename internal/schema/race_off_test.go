//go:build !race

package schema

const everyNth = 1

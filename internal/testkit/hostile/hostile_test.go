package hostile

import "testing"

func TestShapes(t *testing.T) {
	names := map[string]bool{}
	all := Shapes()
	for _, s := range all {
		if names[s.Name] {
			t.Errorf("two shapes are named %q", s.Name)
		}
		names[s.Name] = true
		for _, size := range Sizes() {
			if n := len(s.Event(size)); n > size*5/4+30_000 && size > 2000 {
				t.Errorf("%s: %d bytes for %d", s.Name, n, size)
			}
		}
	}
	t.Log(len(all))
}

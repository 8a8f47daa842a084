package oracle

import "github.com/eiffelbridge/eiffelbridge/mappings"

// Known lists what there is to meet: the rows and the codes of the catalogue.
func Known() map[string][]string {
	known := map[string][]string{"returning": {"no", "dropped", "restored"}}
	catalogue, err := mappings.Load()
	if err != nil {
		return known // the drivers will say what is wrong with it
	}
	for kind, codes := range map[string][]mappings.Code{"error": catalogue.Codes.Errors, "loss": catalogue.Codes.Losses, "diagnostic": catalogue.Codes.Diagnostics} {
		for _, c := range codes {
			known[kind] = append(known[kind], c.Code)
		}
	}
	for _, row := range catalogue.ToEiffel {
		name := row.CDEvent
		if row.If != "" {
			name += " if " + row.If
		}
		known["row"] = append(known["row"], name)
	}
	for _, row := range catalogue.ToCDEvents {
		known["row"] = append(known["row"], row.Eiffel)
	}
	return known
}

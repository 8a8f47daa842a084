package sdk

import "github.com/eiffelbridge/eiffelbridge/plugins/pluginv1"

// MetricsNow is what the plugin would tell its host.
func MetricsNow(m *Metrics) *pluginv1.MetricsResponse { return m.now() }

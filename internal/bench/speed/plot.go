package speed

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-analyze/charts"
)

// WritePlots draws the medians of each cell, ours on top, as SVG files in the directory.
func (r *Report) WritePlots(dir string) error {
	for _, c := range r.Cells {
		var names []string
		var medians []float64
		for _, s := range slices.Backward(c.Series) {
			if len(s.Took) > 0 {
				// Spaces, for fonts that are wider than the one that the library measures.
				names, medians = append(names, s.By+"    "), append(medians, float64(s.Median().Round(100*time.Microsecond))/1e6)
			}
		}
		if len(names) == 0 {
			continue
		}
		o := charts.NewBarChartOptionWithData([][]float64{medians})
		o.Horizontal = true
		o.Title.Text = c.title() + ": ms, median"
		o.CategoryAxis.Labels = names
		o.ValueAxis[0].Min = charts.Ptr(0.0) // or a bar's length says nothing
		o.ValueFormatter = func(ms float64) string { return strconv.FormatFloat(ms, 'f', -1, 32) }
		o.SeriesList[0].Label.ValueFormatter = o.ValueFormatter
		o.SeriesList[0].Label.Show = charts.Ptr(true)
		p := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: 800, Height: 80 + 28*len(names)})
		if err := p.BarChart(o); err != nil {
			return err
		}
		if err := write(p, dir, "removal-"+c.FileSystem+"-"+c.Shape); err != nil {
			return err
		}
	}
	return nil
}

func write(p *charts.Painter, dir, name string) error {
	text, err := p.Bytes()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, strings.NewReplacer("/", "-", " ", "-").Replace(name)+".svg"), text, 0o644)
}

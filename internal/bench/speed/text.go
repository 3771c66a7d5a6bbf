package speed

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteText writes the report for people.
func (r *Report) WriteText(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%s\nload %s before, %s after\n", r.System, r.LoadBefore, r.LoadAfter)
	for _, c := range r.Cells {
		fmt.Fprintf(table, "\n%s\nremoved by\tmedian\tquartiles\tpeer / ours [95 %%]\trounds\n", c.title())
		for _, s := range c.Series {
			c.write(table, s)
		}
		if best, ours := c.Best(), c.find(Ours[Bare]); best != nil && ours != nil && len(ours.Took) > 0 {
			ratio, _ := ours.Ratio(best)
			fmt.Fprintf(table, "%s takes %.2f of the time of the best loop (%s)%s\n", ours.By, ratio.Median, best.By, ratio.interval())
		}
	}
	last := ""
	for _, row := range r.Rows {
		if of := row.Table + row.FileSystem; of != last {
			last = of
			fmt.Fprintf(table, "\n%s, %s\t%s\n", row.Table, row.FileSystem, strings.Join(headings[row.Table], "\t"))
		}
		fmt.Fprintf(table, "%s\t%s\n", row.What, strings.Join(row.cells(), "\t"))
	}
	if len(r.Skipped) > 0 {
		fmt.Fprintln(table)
	}
	for _, why := range r.Skipped {
		fmt.Fprintf(table, "not measured: %s\n", why)
	}
	return table.Flush()
}

func (c *Cell) title() string {
	cache := "warm"
	if c.Cold {
		cache = "cold"
	}
	return fmt.Sprintf("%s, %s, %d files, %s cache", c.FileSystem, c.Shape, c.Files, cache)
}

func (c *Cell) write(out io.Writer, s *Series) {
	if len(s.Took) > 0 {
		first, third := s.Quartiles()
		against := "ours"
		if s.By != Ours[s.Kind] {
			against = "-"
			if ratio, ok := s.Ratio(c.find(Ours[s.Kind])); ok {
				against = fmt.Sprintf("%.2f%s", ratio.Median, ratio.interval())
			}
		}
		fmt.Fprintf(out, "%s\t%s\t%s – %s\t%s\t%d\n", s.By, short(s.Median()), short(first), short(third), against, len(s.Took))
	}
	if s.Error != "" {
		fmt.Fprintf(out, "%s\tfailed: %q\n", s.By, s.Error)
	}
}

func (r Ratio) interval() string {
	if r.High == 0 {
		return ""
	}
	return fmt.Sprintf(" [%.2f, %.2f]", r.Low, r.High)
}

// headings are those of the small tables, after what the row is about.
var headings = map[string][]string{
	"hold":     {"", "hold per layer", "fsyncs", "the whole deletion"},
	"idle":     {"", "each", "system calls"},
	"recovery": {"", "time", "each", "peak memory", "processors", "of it kernel"},
	"memory":   {"", "time", "each", "peak memory", "processors", "of it kernel"},
	"checks":   {"", "time", "each", "a second", "peak memory", "bytes each"},
}

func (r Row) cells() []string {
	n, mib := fmt.Sprint(r.N), fmt.Sprintf("%.1f MiB", float64(r.Memory)/(1<<20))
	switch r.Table {
	case "hold":
		return []string{n, short(r.Each), fmt.Sprint(r.Count), short(r.Took)}
	case "idle":
		if r.Count > 0 {
			return []string{n, "-", fmt.Sprint(r.Count)}
		}
		return []string{n, short(r.Each), "-"}
	case "checks":
		each, second, bytes := "-", "-", "-"
		if r.N > 0 {
			each, second = short(r.Took/time.Duration(r.N)), fmt.Sprintf("%.0f", float64(r.N)/r.Took.Seconds())
		}
		if r.Memory == 0 {
			mib = "-"
		} else if r.N > 0 {
			bytes = fmt.Sprint(r.Memory / int64(r.N))
		}
		return []string{n, short(r.Took), each, second, mib, bytes}
	}
	kernel := "-"
	if all := r.User + r.Kernel; all > 0 {
		kernel = fmt.Sprintf("%.0f %%", 100*float64(r.Kernel)/float64(all))
	}
	return []string{n, short(r.Took), short(r.Each), mib, short(r.User + r.Kernel), kernel}
}

// short is the time with three digits or so.
func short(d time.Duration) string {
	for unit := time.Duration(1); unit <= time.Second; unit *= 1000 {
		if d < 1000*unit {
			return d.Round(max(unit/100, 1)).String()
		}
	}
	return d.Round(10 * time.Millisecond).String()
}

// WriteBenchmarks writes every measured removal as benchstat(1) reads it: a benchmark
// that was run once.
func (r *Report) WriteBenchmarks(out io.Writer) error {
	_, err := fmt.Fprintf(out, "pkg: github.com/afterlock/afterlock/internal/bench/speed\nsystem: %s\nload: %s\n", r.System, r.LoadBefore)
	word := strings.NewReplacer(" ", "-", ",", "", "/", "-").Replace
	for _, c := range r.Cells {
		for _, s := range c.Series {
			for _, took := range s.Took {
				if err == nil {
					_, err = fmt.Fprintf(out, "BenchmarkRemoval/fs=%s/shape=%s/files=%d/cold=%t/by=%s 1 %d ns/op\n",
						word(c.FileSystem), word(c.Shape), c.Files, c.Cold, word(s.By), took.Nanoseconds())
				}
			}
		}
	}
	return err
}

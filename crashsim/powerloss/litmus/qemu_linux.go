package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/crashsim/powerloss"
)

// The second kernel is one of Debian's, in QEMU without hardware's help: what it writes
// goes through the driver blklogwrites, whose log has the format of the other way. The
// programs are run by this command, which init starts. Marks are sectors that are written
// behind the end of the file system.

// initScript is init; the verbs are the kind and the options of the file system, and where
// marks go.
const initScript = `#!/bin/busybox sh
/bin/busybox mount -t proc none /proc
/bin/busybox mount -t devtmpfs none /dev
/bin/busybox modprobe -a virtio_pci virtio_blk %[1]s
/litmus guest %[1]s %[2]s %[3]d
/bin/busybox poweroff -f
`

// guestArgument is the first argument in the machine; guestSays is its last word there.
const (
	guestArgument = "guest"
	guestSays     = "litmus: all programs have run"
)

// inMachine records the programs in a virtual machine.
func (r *recording) inMachine(o options, f powerloss.FileSystem, image string) error {
	dir := o.Dir
	for _, tool := range []string{"qemu-system-x86_64", "busybox", "dpkg", "go"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("a second kernel: %s is not installed (Debian: qemu-system-x86 busybox-static)", tool)
		}
	}
	info, err := os.Stat(image)
	if err != nil {
		return err
	}
	end := info.Size()
	kind, mountOptions := f.Kind(), f.RecordOptions()
	log, root := filepath.Join(dir, "log"), filepath.Join(dir, "initrd")
	script := fmt.Sprintf(initScript, kind, mountOptions, end)
	deb := o.Kernel // a file, or a version
	if _, err := os.Stat(deb); err != nil {
		if deb, err = download(o.Kernel, dir); err != nil {
			return err
		}
	}
	err = shell(dir, `set -e
dpkg -x "$1" kernel
mkdir -p initrd/bin initrd/proc initrd/dev initrd/mnt
cp "$(command -v busybox)" initrd/bin/busybox
cd kernel/lib/modules/*
version=${PWD##*/}
modules=$OLDPWD/initrd/lib/modules/$version
mkdir -p "$modules"
cp modules.* "$modules"
for part in arch crypto lib drivers/block drivers/virtio "fs/$2"; do
	test ! -e "kernel/$part" || cp --parents -r "kernel/$part" "$modules"
done
busybox depmod -b "$OLDPWD/initrd" "$version"
echo "$version" > "$OLDPWD/version"
`, deb, kind)
	if err != nil {
		return err
	}
	err = errors.Join(os.Truncate(image, end+1<<20), os.WriteFile(filepath.Join(root, "init"), []byte(script), 0o755),
		os.WriteFile(log, nil, 0o600), os.Truncate(log, 1<<30))
	if err != nil {
		return err
	}
	build := exec.Command("go", "build", "-o", filepath.Join(root, "litmus"), "./crashsim/powerloss/litmus")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build what runs in the machine: %w: %s", err, said)
	}
	if err := shell(root, "find . | busybox cpio -o -H newc > ../initrd.cpio 2> /dev/null"); err != nil {
		return err
	}
	kernels, _ := filepath.Glob(filepath.Join(dir, "kernel/boot/vmlinuz-*"))
	version, err := os.ReadFile(filepath.Join(dir, "version"))
	if err != nil {
		return err
	}
	if len(kernels) != 1 {
		return fmt.Errorf("a second kernel: %d kernels in %s", len(kernels), deb)
	}
	r.kernel = strings.TrimSpace(string(version))
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	machine := exec.CommandContext(ctx, "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "1G", "-smp", "1",
		"-kernel", kernels[0], "-initrd", filepath.Join(dir, "initrd.cpio"), "-append", "console=ttyS0 quiet panic=-1",
		"-display", "none", "-nodefaults", "-serial", "stdio", "-no-reboot",
		"-blockdev", "driver=file,filename="+image+",node-name=df", "-blockdev", "driver=raw,file=df,node-name=dr",
		"-blockdev", "driver=file,filename="+log+",node-name=lf", "-blockdev", "driver=raw,file=lf,node-name=lr",
		"-blockdev", "driver=blklogwrites,file=dr,log=lr,node-name=lw,log-super-update-interval=1",
		"-device", "virtio-blk-pci,drive=lw,write-cache=on")
	said, err := machine.CombinedOutput()
	if err != nil || !strings.Contains(string(said), guestSays) {
		return fmt.Errorf("the machine with Linux %s: %v: %s", r.kernel, err, said) // it may end well, and not have run all
	}
	file, err := os.Open(log)
	if err != nil {
		return err
	}
	defer file.Close()
	if r.log, err = powerloss.ReadLog(file); err != nil {
		return err
	}
	for i, e := range r.log {
		if e.Offset == end && e.Data != nil {
			text, _, _ := bytes.Cut(e.Data, []byte{0})
			r.log[i] = powerloss.Entry{Mark: string(text)}
		}
	}
	return nil
}

// download gets the package of a kernel of Debian's, such as "6.1".
func download(version, dir string) (deb string, err error) {
	err = shell(dir, `set -e
name=$(apt-cache search --names-only "^linux-image-$1\.[0-9.-]+-cloud-amd64-unsigned\$" | sort -V | tail -n 1 | cut -d ' ' -f 1)
test -n "$name" || { echo "no package of Linux $1 (apt-get update?)" >&2; exit 1; }
apt-get -qq -o APT::Sandbox::User=root download "$name"
`, version)
	if err != nil {
		return "", err
	}
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return "", err
	}
	if len(debs) != 1 {
		return "", fmt.Errorf("a second kernel: %d packages of Linux %s", len(debs), version)
	}
	return debs[0], nil
}

// shell runs commands in the directory.
func shell(dir, commands string, arguments ...string) error {
	cmd := exec.Command("sh", append([]string{"-c", commands, "sh"}, arguments...)...)
	cmd.Dir = dir
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("a second kernel: %w: %s", err, bytes.TrimSpace(said))
	}
	return nil
}

// guest runs all programs, in the machine.
func guest(kind, options string, end int64) error {
	const disk, mount = "/dev/vda", "/mnt"
	if err := unix.Mount(disk, mount, kind, unix.MS_NOATIME, options); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	fd, err := unix.Open(disk, unix.O_WRONLY|unix.O_DIRECT, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", disk, err)
	}
	const sector, page = 512, 4096
	room := make([]byte, 2*page)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(room))) % page
	buffer := room[skip : skip+sector]
	err = runAll(allCases(), mount, func(text string) error {
		clear(buffer)
		copy(buffer, text)
		_, err := unix.Pwrite(fd, buffer, end)
		return err
	})
	if err == nil {
		fmt.Println(guestSays)
	}
	return err
}

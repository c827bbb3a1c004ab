/* What is set below /proc/sys for a device of the host, which the kernel forgets when it moves.
 *
 * Noted is what differs from the default, since with the defaults it comes back: a host that
 * forwards by this device, filters by reverse path or takes no router advertisements would do so no
 * longer, and nobody would be told. What can only be read, and what is not set (EIO) or a secret of
 * IPv6 (too long for a number), is left to the kernel. Needs CAP_NET_ADMIN to write.
 *
 * What must not happen: a device that is not given back because of a setting. One that cannot be
 * restored is therefore said, and the next one tried. */
#include "kernel/device.h"

#include "base/cleanup.h"
#include "kernel/sysctl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char *const directories[] = {"ipv4/conf", "ipv4/neigh", "ipv6/conf", "ipv6/neigh"};

/* False: no such path can be. */
static bool setting_path(const char *directory, const char *device, const char *name,
                         char path[SYSCTL_PATH_SIZE])
{
    return snprintf(path, SYSCTL_PATH_SIZE, "net/%s/%s/%s", directory, device, name) <
           SYSCTL_PATH_SIZE;
}

/* Is it a setting that can be written? */
static bool is_writable(int directory_fd, const char *name)
{
    struct stat state;

    return fstatat(directory_fd, name, &state, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(state.st_mode) && (state.st_mode & S_IWUSR);
}

static int note_setting(struct record *record, const struct record_device *device,
                        const char *directory, const char *name)
{
    char path[SYSCTL_PATH_SIZE], other[SYSCTL_PATH_SIZE];
    char value[SYSCTL_VALUE_SIZE], standard[SYSCTL_VALUE_SIZE];
    struct record_device_setting *setting;
    size_t length = strlen(name);
    int r;

    if (length >= sizeof setting->name || !setting_path(directory, device->name, name, path) ||
        !setting_path(directory, "default", name, other))
        return -ENAMETOOLONG;
    r = sysctl_read(path, value);
    if (r == -EIO || r == -EOVERFLOW)
        return 0;
    if (r < 0 || (sysctl_read(other, standard) == 0 && strcmp(value, standard) == 0))
        return r;
    setting = ARENA_PUSH(record->arena, record, device_settings);
    memcpy(setting->device, device->name, sizeof setting->device);
    (void)snprintf(setting->directory, sizeof setting->directory, "%s", directory); /* fits */
    memcpy(setting->name, name, length + 1);
    memcpy(setting->value, value, sizeof setting->value);
    return 0;
}

static int note_directory(struct record *record, const struct record_device *device,
                          const char *directory)
{
    char path[sizeof "/proc/sys/" + SYSCTL_PATH_SIZE];
    const struct dirent *entry;
    int r = 0;

    (void)snprintf(path, sizeof path, "/proc/sys/net/%s/%s", directory, device->name); /* fits */
    cleanup_dir DIR *listing = opendir(path);
    if (!listing)
        return errno == ENOENT ? 0 : -errno; /* a device without IPv6 */
    errno = 0;                               /* readdir(3) says nothing else about why it ended */
    while (r == 0 && (entry = readdir(listing))) {
        if (is_writable(dirfd(listing), entry->d_name))
            r = note_setting(record, device, directory, entry->d_name);
        errno = 0;
    }
    return r == 0 ? -errno : r;
}

int device_settings_note(struct record *record, const struct record_device *device,
                         struct error *error)
{
    for (size_t i = 0; i < ARRAY_LENGTH(directories); i++) {
        int r = note_directory(record, device, directories[i]);

        if (r < 0)
            return error_errno(error, r, "cannot read /proc/sys/net/%s/%s", directories[i],
                               device->name);
    }
    return 0;
}

void device_settings_restore(const struct record *record, const struct record_device *device,
                             const char *name, struct error *error)
{
    for (size_t i = 0; i < record->device_settings_count; i++) {
        const struct record_device_setting *setting = &record->device_settings[i];
        char path[SYSCTL_PATH_SIZE];
        int r;

        if (strcmp(setting->device, device->name) != 0)
            continue;
        r = setting_path(setting->directory, name, setting->name, path)
                ? sysctl_write(path, setting->value)
                : -ENAMETOOLONG;
        if (r < 0 && !error->text[0])
            (void)error_errno(error, r, "the device '%s' is back, but %s cannot be set to '%s'",
                              name, path, setting->value);
    }
    error->code = 0;
}

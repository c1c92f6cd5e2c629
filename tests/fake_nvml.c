/* A libnvidia-ml.so.1 without a GPU: what of NVML hwbench asks, scripted by the environment, for nvml_library.py.

   The variables are read at every call, so that a process may change them while it runs. They are described in
   nvml_library.py. Structures and numbers are those of NVIDIA's nvml.h. */

#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum { SUCCESS, UNINITIALIZED, INVALID_ARGUMENT, NOT_SUPPORTED, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, LOST = 15 };
enum { UNSIGNED_INT = 1, POWER_AVERAGE = 185, POWER_INSTANT = 186, MOST_GPUS = 16 };

typedef struct { int index, sliced; } *Device;
typedef union { double d; unsigned int ui; unsigned long long ull; } Value;

static struct { int index, sliced; } cards[MOST_GPUS], slices[MOST_GPUS];
static int users;
static double began_s;

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

static const char *setting(const char *name, const char *otherwise)
{
    const char *found = getenv(name);
    return found && *found ? found : otherwise;
}

static int gpus(void) { return atoi(setting("FAKE_NVML_GPUS", "1")); }

/* The number for a GPU from a list such as "100,250"; the last one is for the rest. */
static double listed(const char *name, const char *otherwise, int gpu)
{
    const char *text = setting(name, otherwise);
    for (; gpu > 0 && strchr(text, ','); gpu--)
        text = strchr(text, ',') + 1;
    return strncmp(text, "0x", 2) ? strtod(text, NULL) : (double)strtol(text, NULL, 16);
}

static void record(const char *call, int gpu)
{
    const char *path = getenv("FAKE_NVML_LOG");
    FILE *log = path ? fopen(path, "a") : NULL;
    if (!log)
        return;
    fprintf(log, "%s %d\n", call, gpu);
    fclose(log);
}

/* The error that FAKE_NVML_FAIL has for a call of a GPU (-1: of none): "call=3,call@1=3". */
static int scripted(const char *call, int gpu)
{
    size_t length = strlen(call);
    for (const char *entry = getenv("FAKE_NVML_FAIL"); entry; entry = strchr(entry, ',')) {
        entry += *entry == ',';
        if (strncmp(entry, call, length))
            continue;
        const char *rest = entry + length;
        if (*rest == '@' && strtol(rest + 1, (char **)&rest, 10) != gpu)
            continue;
        if (*rest == '=')
            return atoi(rest + 1);
    }
    return SUCCESS;
}

static int is_lost(int gpu)
{
    const char *lost = getenv("FAKE_NVML_LOST"); /* "1@0.5": GPU 1, half a second after the library was opened */
    int which;
    double after_s;
    return lost && sscanf(lost, "%d@%lf", &which, &after_s) == 2 && which == gpu && now_s() - began_s >= after_s;
}

static int trouble(const char *call, int gpu)
{
    record(call, gpu);
    if (!users)
        return UNINITIALIZED;
    return gpu >= 0 && is_lost(gpu) ? LOST : scripted(call, gpu);
}

#define ANSWER(gpu)                                 \
    do {                                            \
        int error = trouble(__func__, (gpu));       \
        if (error)                                  \
            return error;                           \
    } while (0)

static unsigned int milliwatts(int gpu)
{
    return (unsigned int)llround(listed("FAKE_NVML_POWER_W", "100", gpu) * 1000);
}

/* What the power sensor shows, which may be something else than what the counter adds up. */
static unsigned int sensor_milliwatts(int gpu)
{
    return getenv("FAKE_NVML_SENSOR_W") ? (unsigned int)llround(listed("FAKE_NVML_SENSOR_W", "", gpu) * 1000)
                                        : milliwatts(gpu);
}

static double tick_s(void) { return strtod(setting("FAKE_NVML_TICK_S", "0.1"), NULL); }

int nvmlInitWithFlags(unsigned int flags)
{
    (void)flags;
    record(__func__, -1);
    int error = scripted(__func__, -1);
    if (error)
        return error;
    if (!users++)
        began_s = now_s();
    for (int i = 0; i < MOST_GPUS; i++) {
        cards[i].index = slices[i].index = i;
        slices[i].sliced = 1;
    }
    return SUCCESS;
}

int nvmlShutdown(void)
{
    ANSWER(-1);
    users--;
    return SUCCESS;
}

const char *nvmlErrorString(int error)
{
    (void)error;
    return "an error of the fake library";
}

int nvmlSystemGetDriverVersion(char *version, unsigned int length)
{
    ANSWER(-1);
    snprintf(version, length, "%s", setting("FAKE_NVML_DRIVER", "580.00.00"));
    return SUCCESS;
}

int nvmlDeviceGetCount_v2(unsigned int *count)
{
    ANSWER(-1);
    *count = gpus();
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, Device *found)
{
    if ((int)index >= gpus())
        return INVALID_ARGUMENT;
    ANSWER(index);
    *found = (Device)&cards[index];
    return SUCCESS;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, Device *found)
{
    unsigned int index;
    int sliced = !strncmp(uuid, "MIG-", 4);
    if (sscanf(uuid + 4, sliced ? "00000000-0000-0000-0001-%x" : "00000000-0000-0000-0000-%x", &index) != 1)
        return NOT_FOUND;
    if ((int)index >= gpus())
        return NOT_FOUND;
    ANSWER(index);
    *found = (Device)(sliced ? &slices[index] : &cards[index]);
    return SUCCESS;
}

int nvmlDeviceGetHandleByPciBusId_v2(const char *address, Device *found)
{
    unsigned int domain, bus, device;
    if (sscanf(address, "%x:%x:%x", &domain, &bus, &device) != 3 || domain || device || !bus || (int)bus > gpus())
        return NOT_FOUND;
    ANSWER(bus - 1);
    *found = (Device)&cards[bus - 1];
    return SUCCESS;
}

int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(Device slice, Device *found)
{
    ANSWER(slice->index);
    if (!slice->sliced)
        return INVALID_ARGUMENT;
    *found = (Device)&cards[slice->index];
    return SUCCESS;
}

int nvmlDeviceGetIndex(Device device, unsigned int *index)
{
    ANSWER(device->index);
    *index = device->index;
    return SUCCESS;
}

int nvmlDeviceGetMigMode(Device device, unsigned int *current, unsigned int *pending)
{
    ANSWER(device->index);
    *current = *pending = (unsigned int)listed("FAKE_NVML_MIG", "0", device->index);
    return SUCCESS;
}

int nvmlDeviceGetName(Device device, char *name, unsigned int length)
{
    ANSWER(device->index);
    snprintf(name, length, "%s", setting("FAKE_NVML_NAME", "NVIDIA Fake GPU"));
    return SUCCESS;
}

int nvmlDeviceGetUUID(Device device, char *uuid, unsigned int length)
{
    ANSWER(device->index);
    const char *begin = device->sliced ? "MIG-00000000-0000-0000-0001" : "GPU-00000000-0000-0000-0000";
    snprintf(uuid, length, "%s-%012x", begin, device->index);
    return SUCCESS;
}

int nvmlDeviceGetPciInfo_v3(Device device, void *info)
{
    struct { char legacy[16]; unsigned int domain, bus, device, ids, subsystem; char address[32]; } *pci = info;
    ANSWER(device->index);
    memset(pci, 0, sizeof *pci);
    pci->bus = device->index + 1;
    snprintf(pci->legacy, sizeof pci->legacy, "0000:%02X:00.0", pci->bus);
    snprintf(pci->address, sizeof pci->address, "00000000:%02X:00.0", pci->bus);
    return SUCCESS;
}

int nvmlDeviceGetCudaComputeCapability(Device device, int *major, int *minor)
{
    ANSWER(device->index);
    return sscanf(setting("FAKE_NVML_CAPABILITY", "9.0"), "%d.%d", major, minor) == 2 ? SUCCESS : NOT_SUPPORTED;
}

int nvmlDeviceGetArchitecture(Device device, unsigned int *architecture)
{
    ANSWER(device->index);
    *architecture = atoi(setting("FAKE_NVML_ARCHITECTURE", "9"));
    return SUCCESS;
}

int nvmlDeviceGetTotalEnergyConsumption(Device device, unsigned long long *millijoules)
{
    ANSWER(device->index);
    double since_s = 3600 + now_s(); /* the driver was loaded an hour before the clock began */
    *millijoules = (unsigned long long)llround(milliwatts(device->index) * floor(since_s / tick_s()) * tick_s());
    return SUCCESS;
}

int nvmlDeviceGetPowerUsage(Device device, unsigned int *power)
{
    ANSWER(device->index);
    *power = sensor_milliwatts(device->index);
    return SUCCESS;
}

int nvmlDeviceGetPowerManagementLimit(Device device, unsigned int *limit)
{
    ANSWER(device->index);
    *limit = (unsigned int)llround(listed("FAKE_NVML_LIMIT_W", "700", device->index) * 1000);
    return SUCCESS;
}

int nvmlDeviceGetPowerManagementLimitConstraints(Device device, unsigned int *least, unsigned int *most)
{
    ANSWER(device->index);
    *least = 100000;
    *most = (unsigned int)llround(listed("FAKE_NVML_LIMIT_W", "700", device->index) * 1000);
    return SUCCESS;
}

int nvmlDeviceGetFieldValues(Device device, int count, void *fields)
{
    struct {
        unsigned int field, scope;
        long long time, latency;
        unsigned int kind;
        int error;
        Value value;
    } *asked = fields;
    ANSWER(device->index);
    for (int i = 0; i < count; i++) {
        int known = asked[i].field == POWER_INSTANT || asked[i].field == POWER_AVERAGE;
        asked[i].error = known ? scripted("field", device->index) : NOT_SUPPORTED;
        asked[i].kind = UNSIGNED_INT;
        asked[i].value.ull = 0;
        asked[i].value.ui = asked[i].error ? 0 : sensor_milliwatts(device->index);
    }
    return SUCCESS;
}

int nvmlDeviceGetSamples(Device device, unsigned int what, unsigned long long since_us, unsigned int *kind,
                         unsigned int *count, void *samples)
{
    struct { unsigned long long time_us; Value value; } *into = samples;
    ANSWER(device->index);
    if (what)
        return NOT_SUPPORTED;
    *kind = UNSIGNED_INT;
    unsigned int held = 3;
    if (into) {
        held = *count < held ? *count : held;
        for (unsigned int i = 0; i < held; i++) {
            into[i].time_us = (unsigned long long)((now_s() - 0.1 * i) * 1e6);
            into[i].value.ull = 0;
            into[i].value.ui = i ? 1 : sensor_milliwatts(device->index); /* newest first; the older are wrong on purpose */
        }
    }
    *count = held;
    (void)since_us;
    return SUCCESS;
}

int nvmlDeviceGetClockInfo(Device device, unsigned int kind, unsigned int *mhz)
{
    ANSWER(device->index);
    *mhz = kind == 2 ? 2619 : 1980;
    return SUCCESS;
}

int nvmlDeviceGetTemperature(Device device, unsigned int sensor, unsigned int *celsius)
{
    ANSWER(device->index);
    (void)sensor;
    *celsius = 55;
    return SUCCESS;
}

int nvmlDeviceGetTemperatureV(Device device, void *asked)
{
    struct { unsigned int version, sensor; int celsius; } *temperature = asked;
    ANSWER(device->index);
    temperature->celsius = 55;
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(Device device, unsigned int *shares)
{
    ANSWER(device->index);
    shares[0] = 75;
    shares[1] = 40;
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(Device device, unsigned long long *bytes)
{
    ANSWER(device->index);
    bytes[0] = 80ull << 30;
    bytes[1] = 77ull << 30;
    bytes[2] = 3ull << 30; /* with what is reserved */
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo_v2(Device device, void *asked)
{
    struct { unsigned int version; unsigned long long total, reserved, free, used; } *memory = asked;
    ANSWER(device->index);
    if (memory->version != (sizeof *memory | 2u << 24))
        return INVALID_ARGUMENT;
    memory->total = 80ull << 30;
    memory->reserved = 1ull << 30;
    memory->free = 77ull << 30;
    memory->used = 2ull << 30;
    return SUCCESS;
}

int nvmlDeviceGetCurrentClocksEventReasons(Device device, unsigned long long *events)
{
    ANSWER(device->index);
    *events = (unsigned long long)listed("FAKE_NVML_EVENTS", "0", device->index);
    return SUCCESS;
}

int nvmlDeviceGetCurrentClocksThrottleReasons(Device device, unsigned long long *events)
{
    ANSWER(device->index);
    *events = (unsigned long long)listed("FAKE_NVML_EVENTS", "0", device->index);
    return SUCCESS;
}

int nvmlDeviceGetViolationStatus(Device device, unsigned int policy, unsigned long long *times)
{
    ANSWER(device->index);
    times[0] = (unsigned long long)(now_s() * 1e6);
    times[1] = policy ? 500000000ull : 1500000000ull;
    return SUCCESS;
}

/* FAKE_NVML_PROCESSES: numbers with commas between; "self" is the process that asks. */
int nvmlDeviceGetComputeRunningProcesses_v3(Device device, unsigned int *count, void *processes)
{
    struct { unsigned int pid; unsigned long long memory; unsigned int instance, part; } *into = processes;
    ANSWER(device->index);
    unsigned int held = 0;
    for (const char *entry = getenv("FAKE_NVML_PROCESSES"); entry && *entry; held++) {
        if (into && held < *count) {
            memset(&into[held], 0, sizeof into[held]);
            into[held].pid = strncmp(entry, "self", 4) ? (unsigned int)atoi(entry) : (unsigned int)getpid();
        }
        entry = strchr(entry, ',');
        entry += entry != NULL;
    }
    int too_small = held && (!into || held > *count);
    *count = held;
    return too_small ? INSUFFICIENT_SIZE : SUCCESS;
}

"""A driver that replaces the module pynvml in this process."""


class NVMLError(Exception):
    def __init__(self, value):
        super().__init__(value)
        self.value = value


class Driver:
    """A driver of one GPU with only an energy counter and a temperature. `asked` lists the calls;
    each of them calls `on_call`."""

    NVMLError = NVMLError
    NVML_TEMPERATURE_GPU = 0

    def __init__(self):
        self.millijoules, self.asked, self.users = 5000, [], 1
        self.on_call = lambda: None

    def nvmlShutdown(self):
        self.users -= 1

    def nvmlDeviceGetCount(self):
        return 1

    def nvmlDeviceGetHandleByIndex(self, index):
        return "handle"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        self.asked.append("energy")
        self.on_call()
        if isinstance(self.millijoules, Exception):
            raise self.millijoules
        return self.millijoules

    def nvmlDeviceGetTemperature(self, handle, sensor):
        self.asked.append("temperature")
        self.on_call()
        return 50
